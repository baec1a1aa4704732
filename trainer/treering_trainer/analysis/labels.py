"""What the published model says of the labels: whose boxes it names otherwise, what nobody labelled, how tightly drawn.

Where a delivery was labelled by another hand, the model, which learned the old hand's way, shows the difference: its
boxes are drawn as it was taught, so the ratio of areas tells looser from tighter labels (median, so that a few bad
boxes count for nothing). Two classes that changed names are two columns of the confusion that changed places.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from treering_trainer.dataset import SAME_OBJECT, Boxes, Sample, intersection_over_union
from treering_trainer.measures import Confusion
from treering_trainer.policies.interface import Glance

TOUCHED = 0.3
"""IoU from which a detection is not counted as unlabelled: an object labelled a little differently is labelled."""
SURE = 0.6
"""Confidence from which the model's word counts against a label."""
FAINTEST = 0.25
"""Least confidence of the detections that are looked at."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labels and the detections of the same objects, one row each.

    Attributes:
        labelled: class names of the labels; `called` those of the detections.
        confidence: of the detections.
        looseness: ln of area of label over area of detection.
        shown: boxes per class name, found or not.
        unlabelled: sure detections that no label touches, by class name.
    """

    labelled: tuple[str, ...]
    called: tuple[str, ...]
    confidence: Boxes
    looseness: Boxes
    shown: dict[str, int]
    unlabelled: dict[str, int]


def pair(samples: Sequence[Sample], names: Sequence[str], glance: Glance, model_names: Sequence[str]) -> Pairs:
    """Every label with the surest detection of the same object, whatever its class.

    Args:
        names: class names that the samples' boxes point into.
        model_names: those that the detections point into.
    """
    rows: list[tuple[str, str, float, float]] = []
    shown: dict[str, int] = {}
    free: dict[str, int] = {}
    for sample, found in zip(samples, glance.found, strict=True):
        ious = intersection_over_union(sample.boxes[:, 1:5], found[:, 1:5])
        for place, box in enumerate(sample.boxes):
            shown[names[int(box[0])]] = shown.get(names[int(box[0])], 0) + 1
            same = np.flatnonzero(ious[place] >= SAME_OBJECT)
            if len(same):
                other = found[same[found[same, 5].argmax()]]
                looseness = float(np.log(box[3] * box[4]) - np.log(other[3] * other[4]))
                rows.append((names[int(box[0])], model_names[int(other[0])], float(other[5]), looseness))
        untouched = (ious < TOUCHED).all(axis=0) & (found[:, 5] >= SURE)
        for index in found[untouched, 0]:
            free[model_names[int(index)]] = free.get(model_names[int(index)], 0) + 1
    numbers = np.asarray([row[2:] for row in rows], dtype=np.float64).reshape(-1, 2)
    return Pairs(
        labelled=tuple(row[0] for row in rows),
        called=tuple(row[1] for row in rows),
        confidence=numbers[:, 0],
        looseness=numbers[:, 1],
        shown=shown,
        unlabelled=dict(sorted(free.items())),
    )


def confusions(pairs: Pairs) -> tuple[Confusion, ...]:
    """Labels that the model surely calls by another name, by pair of names, the most frequent first."""
    sure: dict[tuple[str, str], list[float]] = {}
    for labelled, called, confidence in zip(pairs.labelled, pairs.called, pairs.confidence, strict=True):
        if labelled != called and confidence >= SURE:
            sure.setdefault((labelled, called), []).append(float(confidence))
    found = [
        Confusion(
            labelled=labelled,
            called=called,
            boxes=len(values),
            of=pairs.shown[labelled],
            confidence=sum(values) / len(values),
        )
        for (labelled, called), values in sure.items()
    ]
    return tuple(sorted(found, key=lambda item: (-item.boxes, item.labelled, item.called)))


def looseness(pairs: Pairs) -> dict[str, tuple[float, int]]:
    """Median ln of area of label over area of the model's box of the same class, and on how many boxes it rests."""
    found: dict[str, list[float]] = {}
    for labelled, called, value in zip(pairs.labelled, pairs.called, pairs.looseness, strict=True):
        if labelled == called:
            found.setdefault(labelled, []).append(float(value))
    return {name: (float(np.median(values)), len(values)) for name, values in found.items()}


def swapped(found: Sequence[Confusion], least: int = 8, share: float = 0.6) -> tuple[tuple[Confusion, Confusion], ...]:
    """Pairs of classes that are each called by the other's name: most boxes of both, at least `least` of each."""
    strong = {(item.labelled, item.called): item for item in found if _is_strong(item, least, share)}
    return tuple(
        (item, strong[called, labelled])
        for (labelled, called), item in strong.items()
        if labelled < called and (called, labelled) in strong
    )


def renamed(
    found: Sequence[Confusion], old: Collection[str], present: Collection[str], least: int = 8, share: float = 0.8
) -> tuple[Confusion, ...]:
    """Classes that look like a known one under another name: nearly all boxes are surely called by the name of a class
    that the delivery itself does not have.

    Args:
        old: classes that the model knows.
        present: classes that the delivery has boxes of.
    """
    return tuple(
        item
        for item in found
        if item.labelled not in old and item.called not in present and _is_strong(item, least, share)
    )


def _is_strong(item: Confusion, least: int, share: float) -> bool:
    return item.boxes >= least and item.boxes >= share * item.of
