"""How boxes lie on each other: overlap of rectangles, and which detection is which object.

Used by policies, memory and evaluation. Boxes are rows of `class, centre x, centre y, width, height`, as everywhere;
detections have a confidence at the end.
"""

from __future__ import annotations

import numpy as np

from treering_trainer.dataset.samples import Boxes

SAME_OBJECT = 0.5
"""IoU from which a detection of a class is the object that people marked, as in mAP50."""


def intersection_over_union(left: Boxes, right: Boxes) -> Boxes:
    """(n, m) of boxes given as (n, 4) and (m, 4): centre x, centre y, width, height."""
    a, b = _corners(left)[:, None], _corners(right)[None]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-12))


def apart(boxes: Boxes, found: Boxes, overlap: float) -> Boxes:
    """Those rows of `found` that do not cover a row of `boxes`, whatever its class.

    Args:
        boxes: (n, 5) class, centre x, centre y, width, height, or more columns; `found` likewise, (m, k).
        overlap: IoU from which both are the same object, 0..1.
    """
    if not len(found) or not len(boxes):
        return found
    return np.asarray(found[(intersection_over_union(found[:, 1:5], boxes[:, 1:5]) < overlap).all(axis=1)])


def matches(found: Boxes, truth: Boxes, least: float = SAME_OBJECT) -> list[int]:
    """For each detection the row of `truth` that it is, or -1; the surer one chooses first, each object is taken once.

    Args:
        found: (n, 6) class, centre x, centre y, width, height, confidence.
        truth: (m, 5), or more columns.
        least: IoU, 0..1, from which boxes of one class are the same object.
    """
    result = [-1] * len(found)
    if not len(found) or not len(truth):
        return result
    overlap = intersection_over_union(found[:, 1:5], truth[:, 1:5]) * (found[:, :1] == truth[:, 0][None])
    for row in np.argsort(-found[:, 5], kind="stable").tolist():
        best = int(overlap[row].argmax())
        if overlap[row, best] >= least:
            result[row] = best
            overlap[:, best] = -1.0
    return result


def _corners(boxes: Boxes) -> Boxes:
    half = boxes[:, 2:4] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
