"""Which pictures look alike: Hamming distances between 64-bit perceptual hashes, by the million.

Used by `compare`. Memory stays bounded whatever the sizes: only the nearest and the number of near ones are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from treering_trainer.dataset.samples import Sample

Hashes = NDArray[np.uint64]

_BLOCK_PAIRS = 1 << 19
"""Distances worked on at once: 4 MiB of differences, which stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each hash on the left: index and distance (bits) of the nearest on the right, and how many are near."""

    index: NDArray[np.int64]
    distance: NDArray[np.int64]
    count: NDArray[np.int64]


def hashes(samples: Iterable[Sample]) -> Hashes:
    """Perceptual hashes of samples, shape (n,)."""
    return np.array([sample.phash for sample in samples], dtype=np.uint64)


def nearest(left: Hashes, right: Hashes, max_bits: int) -> Nearest:
    """Compare each of `left` (n,) with each of `right` (m,), m > 0; near is a distance of at most `max_bits`.

    Among equally near ones the first on the right is taken.
    """
    index, distance, count = (np.zeros(len(left), dtype=np.int64) for _ in range(3))
    rows = max(1, _BLOCK_PAIRS // len(right))
    for start in range(0, len(left), rows):
        block = slice(start, start + rows)
        bits = np.bitwise_count(left[block, None] ^ right[None, :])
        index[block] = bits.argmin(axis=1)
        distance[block] = np.take_along_axis(bits, index[block, None], axis=1)[:, 0]
        count[block] = np.count_nonzero(bits <= max_bits, axis=1)
    return Nearest(index, distance, count)
