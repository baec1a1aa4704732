"""What a person should look at, in words with numbers, the gravest first."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from treering_trainer.analysis.labels import renamed, swapped
from treering_trainer.measures import ClassDrift, Confusion, Contrast, Drift, LookName

LEAST_BOXES = 8
"""Boxes below which nothing is said of how they are drawn or named."""
LOOSER = 0.18
"""Change of ln(area) that is told: a fifth of the area, a tenth of each side."""
SHIFTED = 1.0
"""Standard deviations by which a look may move unsaid."""
DRIFTED = 0.8
"""AUC from which new images are called unlike the old ones."""
MISNAMED = 0.5
"""Share of a known class's boxes that the model must surely call otherwise."""
UNLABELLED = 0.1
"""Share of a class's labels that nobody drew, from which it is told."""
_LESS_MORE: dict[LookName, tuple[str, str]] = {
    "brightness": ("darker", "brighter"),
    "contrast": ("flatter", "richer in contrast"),
    "sharpness": ("more blurred", "sharper"),
    "colour": ("paler", "more colourful"),
}


def name_warnings(found: Sequence[Confusion], old: Collection[str], shown: Mapping[str, int]) -> Iterator[str]:
    """Classes that changed names, were given another one, or are surely called otherwise.

    Args:
        old: classes that the published model knows.
        shown: boxes per class of the delivery.
    """
    told: set[str] = set()
    for one, other in swapped(found, LEAST_BOXES):
        told |= {one.labelled, other.labelled}
        yield (
            f"{one.labelled} and {other.labelled} look swapped: the published model calls {_said(one)}, and "
            f"{_said(other)}"
        )
    for item in renamed(found, old, set(shown), LEAST_BOXES):
        told.add(item.labelled)
        yield f"{item.labelled} looks like {item.called} under another name: the published model calls {_said(item)}"
    for item in found:
        strong = item.labelled in old and item.boxes >= max(LEAST_BOXES, MISNAMED * item.of)
        if strong and item.labelled not in told:
            told.add(item.labelled)
            yield f"{item.labelled} may be labelled wrongly: the published model calls {_said(item)}"


def label_warnings(
    classes: Sequence[ClassDrift], unlabelled: Mapping[str, int], labelled: Collection[str]
) -> Iterator[str]:
    """Boxes drawn otherwise than before, and objects that nobody labelled.

    Args:
        labelled: classes that the delivery's labels speak of; others are not expected to be labelled.
    """
    for item in classes:
        if item.looseness is not None and item.judged >= LEAST_BOXES:
            change = item.looseness - (item.looseness_before or 0.0)
            if abs(change) >= LOOSER:
                share, way = abs(math.expm1(change)), "looser" if change > 0 else "tighter"
                area = f"{share:.0%} {_more(change)} area"
                yield f"boxes of {item.name} are drawn {way} than before: {area}, {item.judged} boxes"
    for item in classes:
        count = unlabelled.get(item.name, 0)
        if item.name in labelled and count >= max(3, UNLABELLED * item.boxes):
            told = f"{count} objects that the published model surely calls {item.name} are not labelled"
            yield f"{told}, beside {item.boxes} that are"


def drift_warnings(drift: Drift | None, looks: Mapping[LookName, Contrast]) -> Iterator[str]:
    """Images that are unlike what was learned."""
    if drift is not None and drift.auc >= DRIFTED and drift.p_value < 0.05:
        yield f"the images are unlike those learned before: told apart with AUC {drift.auc:.2f} (p {drift.p_value:.3f})"
    for name, item in looks.items():
        if item.old is not None and item.shift is not None and abs(item.shift) >= SHIFTED:
            less, more = _LESS_MORE[name]
            yield (
                f"the images are {more if item.shift > 0 else less} than before: {name} {item.new.mean:.2f}, was "
                f"{item.old.mean:.2f}"
            )


def _said(item: Confusion) -> str:
    return f"{item.boxes} of {item.of} {item.labelled!r} boxes {item.called} at {item.confidence:.2f}"


def _more(change: float) -> str:
    return "more" if change > 0 else "less"
