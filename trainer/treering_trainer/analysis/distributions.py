"""Histograms with moments, made, merged and compared: how rounds keep the numbers of images that they don't keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from treering_trainer.measures import Contrast, Distribution

BINS = 16


def distribution(values: Sequence[float] | NDArray[np.float64], low: float, high: float) -> Distribution:
    """The distribution of `values` over `BINS` equal bins; values outside count in the outermost ones."""
    found = np.asarray(values, dtype=np.float64)
    places = np.clip((found - low) / (high - low) * BINS, 0, BINS - 1).astype(np.int64)
    counts = np.bincount(places, minlength=BINS)
    return Distribution(
        low=low,
        high=high,
        counts=tuple(int(count) for count in counts),
        total=float(found.sum()),
        squares=float((found**2).sum()),
    )


def merge(parts: Iterable[Distribution]) -> Distribution | None:
    """Several distributions over the same bins as one; None where there is none."""
    known = list(parts)
    if not known:
        return None
    first = known[0]
    assert all((part.low, part.high, len(part.counts)) == (first.low, first.high, len(first.counts)) for part in known)
    return Distribution(
        low=first.low,
        high=first.high,
        counts=tuple(map(sum, zip(*(part.counts for part in known), strict=True))),
        total=sum(part.total for part in known),
        squares=sum(part.squares for part in known),
    )


def contrast(old: Distribution | None, new: Distribution) -> Contrast:
    """Before and now; the shift is the difference of the means in standard deviations of the old (Glass 1976)."""
    if old is None or not old.count or not new.count:
        return Contrast(old=old, new=new)
    scale = max(old.deviation, 1e-6 * max(abs(old.high - old.low), 1.0))
    return Contrast(old=old, new=new, shift=(new.mean - old.mean) / scale)
