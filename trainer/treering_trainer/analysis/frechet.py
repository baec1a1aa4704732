"""How far a class moved in feature space: Fréchet distance between Gaussians (Dowson & Landau 1982; DriftLens 2024).

    d² = |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)

Few boxes give a distance above zero by chance alone, so each comes with what random halves of the same boxes give.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from treering_trainer.analysis.drift import reduce

Floats = NDArray[np.float64]
LEAST = 8
"""Boxes on each side below which nothing is said."""
DIMENSIONS = 8
SHUFFLES = 20


def frechet_distance(mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats) -> float:
    """Squared Fréchet distance of two Gaussians, at least 0.

    Args:
        mean: (d,); covariance: (d, d), symmetric, no negative eigenvalues; the others likewise.
    """
    root = _square_root(covariance)
    middle = np.linalg.eigvalsh(root @ other_covariance @ root)
    traces = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.clip(middle, 0, None)).sum()
    return float(max(((mean - other_mean) ** 2).sum() + traces, 0.0))


def class_distance(old: Floats, new: Floats, *, seed: int) -> tuple[float, float] | None:
    """Distance of two sets of features as a share of their pooled variance, and its mean between random halves.

    Args:
        old: (n, features); new: (m, features).

    Returns:
        None where either side has fewer than `LEAST` rows.
    """
    if min(len(old), len(new)) < LEAST:
        return None
    pooled = reduce(np.concatenate([old, new]), DIMENSIONS)
    scale = max(float(pooled.var(axis=0).sum()), 1e-12)
    generator = np.random.default_rng(seed)
    halves = [generator.permutation(len(pooled)) for _ in range(SHUFFLES)]
    by_chance = [_between(pooled[rows[: len(old)]], pooled[rows[len(old) :]]) for rows in halves]
    return _between(pooled[: len(old)], pooled[len(old) :]) / scale, float(np.mean(by_chance)) / scale


def _between(left: Floats, right: Floats) -> float:
    return frechet_distance(left.mean(axis=0), _covariance(left), right.mean(axis=0), _covariance(right))


def _covariance(rows: Floats) -> Floats:
    return np.atleast_2d(np.cov(rows, rowvar=False))


def _square_root(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
