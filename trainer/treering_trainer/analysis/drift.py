"""Whether new images differ from old ones in the model's own features, and by how much.

A linear classifier is trained to tell new from old (classifier two-sample test, Lopez-Paz & Oquab 2017); its
cross-validated AUC is .5 where it can't. The p-value comes from a permutation test: ridge regression's predictions are
linear in the labels, so a thousand labellings cost one product of matrices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from treering_trainer.measures import Drift

Floats = NDArray[np.float64]
DIMENSIONS = 32
"""Principal components that the classifier sees: with more, few images are told apart by their noise."""
FOLDS = 5
PERMUTATIONS = 499
LEAST = 10
"""Images on each side below which nothing is said."""


def measure_drift(old: Floats, new: Floats, *, seed: int, permutations: int = PERMUTATIONS) -> Drift | None:
    """Domain-classifier AUC between two sets of features, with its permutation p-value.

    Args:
        old: (n, features) of any finite scale; `new` likewise, (m, features).
        permutations: random labellings, at least 1; the least p-value is 1 / (permutations + 1).

    Returns:
        None where either side has fewer than `LEAST` rows.
    """
    if min(len(old), len(new)) < LEAST:
        return None
    generator = np.random.default_rng(seed)
    features = reduce(np.concatenate([old, new]))
    truth = np.concatenate([np.zeros(len(old)), np.ones(len(new))])
    shuffled = np.stack([generator.permutation(truth) for _ in range(permutations)], axis=1)
    labels = np.concatenate([truth[:, None], shuffled], axis=1)
    scores = np.zeros_like(labels)
    for fold in _folds(truth, generator):
        scores[fold] = _predictions(features, fold, labels)
    values = areas_under_curve(scores, labels)
    return Drift(
        auc=max(float(values[0]), 0.5),  # below .5 is chance, too
        p_value=float((1 + np.count_nonzero(values[1:] >= values[0])) / (1 + permutations)),
        old_images=len(old),
        new_images=len(new),
        permutations=permutations,
    )


def reduce(features: Floats, dimensions: int = DIMENSIONS) -> Floats:
    """Principal components by falling variance, scaled by the first one's deviation; at most a tenth of the rows."""
    centred = features - features.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    kept = max(1, min(dimensions, max(2, len(features) // 10), int((values > 1e-9 * max(values[0], 1e-12)).sum())))
    scale = max(float(values[0]) / max(len(features) - 1, 1) ** 0.5, 1e-12)
    return np.asarray(left[:, :kept] * values[:kept] / scale)


def areas_under_curve(scores: Floats, labels: Floats) -> Floats:
    """Area under the ROC curve of every column, 0..1, by ranks (Mann-Whitney).

    Args:
        scores: (rows, columns); `labels` likewise, 0 or 1, with both in every column.
    """
    ranks = (_ranks(scores) + _ranks(scores[::-1])[::-1]) / 2  # ties share their mean
    positives = labels.sum(axis=0)
    negatives = len(labels) - positives
    above = (ranks * labels).sum(axis=0) - positives * (positives + 1) / 2
    return np.asarray(above / (positives * negatives))


def _ranks(scores: Floats) -> Floats:
    """Ranks in every column from 1; of equal ones the first is lower."""
    ranks = np.empty_like(scores)
    places = np.arange(1, len(scores) + 1, dtype=np.float64)[:, None]
    np.put_along_axis(ranks, scores.argsort(axis=0, kind="stable"), np.broadcast_to(places, scores.shape), axis=0)
    return ranks


def _folds(truth: Floats, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows of each fold, old and new shared out evenly."""
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(FOLDS)]
    for side in (0, 1):
        rows = generator.permutation(np.flatnonzero(truth == side))
        for place, part in enumerate(np.array_split(rows, FOLDS)):
            parts[place].append(part)
    return [np.concatenate(part) for part in parts]


def _predictions(features: Floats, fold: NDArray[np.int64], labels: Floats) -> Floats:
    """What ridge regression on all other rows says of the rows of a fold, for every column of labels."""
    rest = np.ones(len(features), dtype=bool)
    rest[fold] = False
    seen, mean = features[rest], features[rest].mean(axis=0)
    seen = seen - mean
    penalty = 1e-2 * len(seen) * np.eye(seen.shape[1])
    targets = labels[rest] - labels[rest].mean(axis=0)
    weights = np.linalg.solve(seen.T @ seen + penalty, seen.T @ targets)
    return np.asarray((features[fold] - mean) @ weights)
