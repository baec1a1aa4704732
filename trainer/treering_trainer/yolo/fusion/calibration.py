"""What confidences are worth, measured on labelled pictures: straightened ones, and thresholds by class.

Two detectors that were trained apart mean different things by .6. Where their boxes compete, that decides; so each
class's confidences become the shares of boxes that are right (Platt 1999; for detectors Küppers et al. 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from treering_trainer.dataset import SAME_OBJECT, Boxes, Sample, intersection_over_union
from treering_trainer.yolo.fusion.description import Straightened

Floats = NDArray[np.float64]
FAINTEST = 0.01
"""Boxes fainter than this say nothing of the confidences that anybody uses."""
LEAST = 10
"""Right boxes, and wrong ones, below which a class is left as it is."""
ALMOST = 1e-6


@dataclass(frozen=True)
class Judged:
    """The boxes that a detector found of one class, by falling confidence, beside the truth.

    Args:
        right: by box, whether it is an object of the class that no surer box has found.
        objects: how many there are.
    """

    confidences: Floats
    right: NDArray[np.bool_]
    objects: int

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        """Of one class, what several data sets say."""
        confidences = np.concatenate([part.confidences for part in parts])
        order = (-confidences).argsort(kind="stable")
        right = np.concatenate([part.right for part in parts])[order]
        return cls(confidences[order], right, sum(part.objects for part in parts))

    def straightened(self) -> Straightened | None:
        """The best fit; None where there are too few boxes of either kind, or surer boxes are not more often right."""
        if min(int(self.right.sum()), int((~self.right).sum())) < LEAST:
            return None
        sure = np.clip(self.confidences, ALMOST, 1 - ALMOST)
        logits = np.log(sure) - np.log1p(-sure)
        fitted = LogisticRegression().fit(logits[:, None], self.right)
        slope = float(fitted.coef_[0, 0])
        return Straightened(slope=slope, offset=float(fitted.intercept_[0])) if slope > 0 else None

    def threshold(self) -> float | None:
        """The confidence from which on precision and recall together are best (F1); None where nothing is right."""
        hits = np.cumsum(self.right)
        if not self.objects or not len(hits) or not hits[-1]:
            return None
        f1 = 2 * hits / (np.arange(1, len(hits) + 1) + self.objects)
        return float(self.confidences[int(f1.argmax())])


def judge(names: Sequence[str], samples: Sequence[Sample], found: Sequence[Boxes]) -> dict[str, Judged]:
    """By class name.

    Args:
        names: what the class indices of samples and detections mean.
        found: per sample (n, 6): class, centre x, centre y, width, height, confidence.
    """
    return {name: _judge(place, samples, found) for place, name in enumerate(names)}


def _judge(place: int, samples: Sequence[Sample], found: Sequence[Boxes]) -> Judged:
    marks = [mark for sample, rows in zip(samples, found, strict=True) for mark in _marks(place, sample.boxes, rows)]
    marks.sort(key=lambda mark: -mark[0])
    return Judged(
        confidences=np.array([mark[0] for mark in marks], dtype=np.float64),
        right=np.array([mark[1] for mark in marks], dtype=np.bool_),
        objects=sum(int((sample.boxes[:, 0] == place).sum()) for sample in samples),
    )


def _marks(place: int, boxes: Boxes, rows: Boxes) -> Iterator[tuple[float, bool]]:
    truth = boxes[boxes[:, 0] == place]
    mine = rows[rows[:, 0] == place]
    mine = mine[(-mine[:, 5]).argsort(kind="stable")]
    overlap = intersection_over_union(mine[:, 1:5], truth[:, 1:5])
    for row, confidence in enumerate(mine[:, 5]):
        best = int(overlap[row].argmax()) if len(truth) else -1
        right = best >= 0 and overlap[row, best] >= SAME_OBJECT
        if right:
            overlap[:, best] = 0.0
        yield float(confidence), bool(right)


def straighten(judged: Mapping[str, Judged]) -> dict[str, Straightened]:
    """The classes whose confidences can be straightened."""
    fitted = {name: found.straightened() for name, found in judged.items()}
    return {name: found for name, found in fitted.items() if found is not None}


def best_thresholds(judged: Mapping[str, Judged]) -> dict[str, float]:
    """By class, where F1 is best."""
    found = {name: one.threshold() for name, one in judged.items()}
    return {name: value for name, value in found.items() if value is not None}
