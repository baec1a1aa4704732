"""Which objects of an image were found, which were missed and which predictions are wrong.

Called by `pictures`. A prediction finds an object of its own class if they overlap by half or more (IoU); each object
is found once, by the surest prediction first. This is for looking at images, not for scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from treering_trainer.records import ImageScore

_MIN_OVERLAP = 0.5


@dataclass(frozen=True)
class Mark:
    """One box in pixels of the full image: of the truth (`confidence` None) or predicted; `right` if it has a match."""

    name: str
    box: tuple[float, float, float, float]
    confidence: float | None
    right: bool


@dataclass(frozen=True)
class Reading:
    """How one image was read."""

    truth: tuple[Mark, ...]
    predictions: tuple[Mark, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """Classes of objects that were not found, with their number where it is more than one."""
        return _tally(mark.name for mark in self.truth if not mark.right)

    @property
    def wrong(self) -> tuple[str, ...]:
        """Classes of predictions where there is no such object."""
        return _tally(mark.name for mark in self.predictions if not mark.right)


def read_image(score: ImageScore, min_confidence: float) -> Reading:
    """Match the predictions of at least `min_confidence` with the truth."""
    left = dict(enumerate(score.truth))
    predictions: list[Mark] = []
    for name, confidence, *corners in sorted(score.predictions, key=lambda item: -item[1]):
        if confidence < min_confidence:
            continue
        box = (corners[0], corners[1], corners[2], corners[3])
        found = max(
            (index for index, item in left.items() if item[0] == name),
            key=lambda index: _overlap(box, left[index][1:]),
            default=None,
        )
        right = found is not None and _overlap(box, left[found][1:]) >= _MIN_OVERLAP
        if right and found is not None:
            del left[found]
        predictions.append(Mark(name, box, confidence, right))
    truth = tuple(Mark(item[0], item[1:], None, index not in left) for index, item in enumerate(score.truth))
    return Reading(truth, tuple(predictions))


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _tally(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        name if count == 1 else f"{count} \N{MULTIPLICATION SIGN} {name}" for name, count in Counter(names).items()
    )
