"""Which classes look alike to a model: whose boxes lie among those of another class in feature space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from treering_trainer.analysis.drift import reduce
from treering_trainer.measures import Overlap

Floats = NDArray[np.float64]
NEIGHBOURS = 5
LEAST = 6
"""Boxes of a class below which nothing is said of it."""
NOTEWORTHY = 0.2
MOST = 12


def class_overlaps(features: Floats, labels: Sequence[str]) -> tuple[Overlap, ...]:
    """Pairs of classes that overlap, the strongest first: the share of one's boxes most of whose `NEIGHBOURS` nearest
    boxes are of the other.

    Args:
        features: (boxes, features); `labels` their class names.
    """
    names = [name for name in dict.fromkeys(labels) if labels.count(name) >= LEAST]
    rows = [place for place, label in enumerate(labels) if label in names]
    if len(names) < 2:
        return ()
    near = _nearest(reduce(features[rows]))
    own = np.asarray([names.index(labels[row]) for row in rows])
    votes = np.stack([(own[near] == index).sum(axis=1) for index in range(len(names))], axis=1)
    winner = np.where(votes.max(axis=1) > NEIGHBOURS // 2, votes.argmax(axis=1), own)
    shares = [
        (float((winner[own == left] == right).mean()), left, right)
        for left in range(len(names))
        for right in range(len(names))
        if left != right
    ]
    strong = sorted((item for item in shares if item[0] >= NOTEWORTHY), reverse=True)
    return tuple(Overlap(left=names[left], right=names[right], share=share) for share, left, right in strong[:MOST])


def _nearest(points: Floats) -> NDArray[np.int64]:
    """(n, NEIGHBOURS) indices of the nearest others."""
    squares = (points**2).sum(axis=1)
    distance = squares[:, None] + squares[None] - 2 * points @ points.T
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
