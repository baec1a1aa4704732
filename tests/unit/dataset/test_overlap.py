"""Which detection is which object."""

from __future__ import annotations

import numpy as np
import pytest

from treering_trainer.dataset import apart, intersection_over_union, matches

LEFT, NEAR, RIGHT = (0.2, 0.5, 0.2, 0.2), (0.22, 0.5, 0.2, 0.2), (0.8, 0.5, 0.2, 0.2)


def test_intersection_over_union__cases() -> None:
    boxes = np.array([LEFT, (0.3, 0.5, 0.2, 0.2), RIGHT, (0.2, 0.5, 0.0, 0.0)])
    overlap = intersection_over_union(boxes[:1], boxes)
    np.testing.assert_allclose(overlap, [[1.0, 1 / 3, 0.0, 0.0]], atol=1e-12)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(0, *NEAR, 0.5), (0, *LEFT, 0.4)], [0, -1]),
        ([(0, *NEAR, 0.4), (0, *LEFT, 0.5)], [-1, 0]),
        ([(1, *LEFT, 0.9), (0, *RIGHT, 0.9)], [-1, 1]),
        ([], []),
    ],
    ids=["the-surer-one", "in-any-order", "of-its-own-class", "nothing"],
)
def test_matches__each_object_once(found: list[tuple[float, ...]], expected: list[int]) -> None:
    truth = np.array([(0, *LEFT), (0, *RIGHT)])
    assert matches(np.asarray(found, dtype=float).reshape(-1, 6), truth) == expected
    assert matches(np.asarray(found, dtype=float).reshape(-1, 6), truth[:0]) == [-1] * len(found)


@pytest.mark.parametrize(("overlap", "expected"), [(0.3, 1), (0.4, 2), (1.0, 2)])
def test_apart__none_over_another_whatever_its_class(overlap: float, expected: int) -> None:
    truth = np.array([(3, *LEFT)])
    found = np.array([(0, 0.3, 0.5, 0.2, 0.2, 0.9), (0, *RIGHT, 0.9), (0, *LEFT, 0.9)])
    left = apart(truth, found, overlap)
    assert left.shape == (expected, 6)
    assert (left[:, 1] != LEFT[0]).all(), "the very same box never stays"


def test_apart__empty_on_either_side() -> None:
    nothing, found = np.zeros((0, 5)), np.array([(0, *LEFT, 0.9)])
    assert apart(nothing, found, 0.5).tolist() == [[0, *LEFT, 0.9]]
    assert apart(np.array([(0, *LEFT)]), np.zeros((0, 6)), 0.5).shape == (0, 6)
