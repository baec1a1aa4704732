from __future__ import annotations

import time
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from treering_trainer.dataset.likeness import nearest

hashes = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12)


@given(hashes, hashes, st.integers(0, 64))
def test_nearest__as_by_hand(left: list[int], right: list[int], max_bits: int) -> None:
    got = nearest(np.array(left, np.uint64), np.array(right, np.uint64), max_bits)
    for row, one in enumerate(left):
        distances = [(one ^ other).bit_count() for other in right]
        assert got.distance[row] == min(distances)
        assert got.index[row] == distances.index(min(distances))
        assert got.count[row] == sum(distance <= max_bits for distance in distances)


def test_nearest__large_and_bounded_in_memory() -> None:
    random = np.random.default_rng(0)
    left, right = (random.integers(0, 2**64, 20_000, dtype=np.uint64) for _ in range(2))
    tracemalloc.start()
    started = time.monotonic()
    found = nearest(left[:2_000], right, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.count.sum() == 0
    assert peak < 32 * 1024 * 1024  # all distances at once would take 320 MB
    assert time.monotonic() - started < 20
