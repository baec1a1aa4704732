from __future__ import annotations

import numpy as np
import pytest

from treering_trainer.analysis.drift import areas_under_curve, measure_drift
from treering_trainer.analysis.frechet import class_distance, frechet_distance


def rows(count: int, seed: int, shift: float = 0.0, width: int = 24) -> np.ndarray:
    source = np.random.default_rng(seed)
    found = source.normal(0, 1, (count, width)) * np.linspace(3, 0.5, width)
    found[:, 0] += shift
    return found


@pytest.mark.parametrize("seed", range(4))
def test_drift__two_halves_of_one_distribution_are_not_told_apart(seed: int) -> None:
    both = rows(120, seed)
    found = measure_drift(both[:60], both[60:], seed=seed)
    assert found is not None
    assert found.p_value > 0.05
    assert 0.3 < found.auc < 0.7


def test_drift__a_moved_distribution_is() -> None:
    found = measure_drift(rows(60, 0), rows(40, 1, shift=5.0), seed=0)
    assert found is not None
    assert found.auc > 0.8
    assert found.p_value < 0.05
    assert (found.old_images, found.new_images) == (60, 40)


def test_drift__too_few_images_say_nothing() -> None:
    assert measure_drift(rows(9, 0), rows(50, 1), seed=0) is None


def test_drift__images_that_are_all_the_same_are_not_told_apart() -> None:
    found = measure_drift(np.ones((20, 8)), np.ones((20, 8)), seed=0)
    assert found is not None
    assert found.auc == pytest.approx(0.5)
    assert found.p_value == 1.0


def test_area_under_curve__of_known_orders_and_ties() -> None:
    labels = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    scores = np.array([[0.1, 0.5, 1.0], [0.2, 0.5, 2.0], [0.3, 0.5, 3.0], [0.4, 0.5, 4.0]])
    assert areas_under_curve(scores, labels).tolist() == [1.0, 0.5, 0.5]


def test_frechet__of_two_gaussians_is_the_closed_form() -> None:
    """With diagonal covariances it is |m - n|² + Σ (s - t)², s and t being deviations."""
    mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    s, t = np.array([1.0, 2.0, 0.5]), np.array([2.0, 0.5, 0.5])
    expected = ((mean - other) ** 2).sum() + ((s - t) ** 2).sum()
    assert frechet_distance(mean, np.diag(s**2), other, np.diag(t**2)) == pytest.approx(expected)


def test_frechet__does_not_change_when_both_are_turned() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    one, two = np.diag([1.0, 4.0, 0.25]), np.diag([4.0, 0.25, 0.25])
    zero = np.zeros(3)
    straight = frechet_distance(zero, one, zero, two)
    assert frechet_distance(zero, turn @ one @ turn.T, zero, turn @ two @ turn.T) == pytest.approx(straight)


def test_class_distance__beyond_chance_only_for_the_class_that_moved() -> None:
    stayed = class_distance(rows(50, 2), rows(50, 3), seed=0)
    moved = class_distance(rows(50, 2), rows(50, 3, shift=9.0), seed=0)
    assert stayed is not None and moved is not None
    assert stayed[0] < 2 * stayed[1]
    assert moved[0] > 3 * moved[1]
    assert class_distance(rows(7, 2), rows(50, 3), seed=0) is None
