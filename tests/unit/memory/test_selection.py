"""Each selection does what its name says, keeps distinct images and repeats itself for a seed."""

from __future__ import annotations

import numpy as np
import pytest

from treering_trainer.memory import SELECTIONS, Candidates, choose


def no_features() -> np.ndarray:
    raise AssertionError("this selection needs no features")


def blobs(sizes: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Tight clusters in different directions, of those sizes."""
    source = np.random.default_rng(seed)
    directions = np.eye(len(sizes), 8)
    return np.concatenate(
        [direction + source.normal(0, 0.02, (size, 8)) for direction, size in zip(directions, sizes, strict=True)]
    )


def unbalanced() -> Candidates:
    """Classes in 100, 12 and 4 of 120 images; some show two, some none."""
    presence = np.zeros((120, 3))
    presence[:100, 0] = 5
    presence[96:108, 1] = 1
    presence[108:112, 2] = 2
    return Candidates(presence, lambda: blobs((40, 40, 40)))


@pytest.mark.parametrize("selection", SELECTIONS)
def test_choose__distinct_in_order_and_by_seed(selection: str) -> None:
    chosen = choose(selection, unbalanced(), 15, seed=4)
    assert len(set(chosen)) == 15
    assert chosen == sorted(chosen)
    assert all(0 <= index < 120 for index in chosen)
    assert choose(selection, unbalanced(), 15, seed=4) == chosen


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize(("size", "expected"), [(0, 0), (-1, 0), (119, 119), (120, 120), (500, 120)])
def test_choose__any_size(selection: str, size: int, expected: int) -> None:
    assert len(choose(selection, unbalanced(), size, seed=0)) == expected


@pytest.mark.parametrize("selection", SELECTIONS)
def test_choose__twins(selection: str) -> None:
    twins = Candidates(np.ones((6, 1)), lambda: np.tile([[1.0, 2.0]], (6, 1)))
    assert len(set(choose(selection, twins, 4, seed=0))) == 4


def test_class_balanced__rare_classes_are_as_present_as_common_ones() -> None:
    candidates = Candidates(unbalanced().presence, no_features)
    chosen = choose("classBalanced", candidates, 12, seed=0)
    assert (candidates.presence[chosen] > 0).sum(axis=0).tolist() == [4, 4, 4]


def test_class_balanced__images_without_objects_come_last() -> None:
    candidates = Candidates(unbalanced().presence, no_features)
    assert set(choose("classBalanced", candidates, 112, seed=0)) == set(range(112))


def test_class_balanced__better_than_chance() -> None:
    candidates = Candidates(unbalanced().presence, no_features)

    def rarest(selection: str, seed: int) -> int:
        return int((candidates.presence[choose(selection, candidates, 9, seed)] > 0).sum(axis=0).min())

    assert all(rarest("classBalanced", seed) == 3 for seed in range(5))
    assert np.mean([rarest("random", seed) for seed in range(5)]) < 1


def test_random__every_image_has_its_chance() -> None:
    candidates = Candidates(np.ones((20, 1)), no_features)
    seen = {index for seed in range(40) for index in choose("random", candidates, 3, seed)}
    assert seen == set(range(20))


def test_herding__keeps_the_mean() -> None:
    features = blobs((70, 20, 10))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    candidates = Candidates(np.ones((100, 1)), lambda: features)

    def distance(chosen: list[int]) -> float:
        return float(np.linalg.norm(features[chosen].mean(axis=0) - features.mean(axis=0)))

    herded = distance(choose("herding", candidates, 10, 0))
    assert herded < 0.02
    assert all(herded < distance(choose("random", candidates, 10, seed)) for seed in range(10))


def test_herding__is_the_algorithm_of_icarl() -> None:
    features = np.random.default_rng(1).normal(size=(12, 3))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected: list[int] = []
    for count in range(1, 6):
        sums = unit + (unit[expected].sum(axis=0) if expected else 0.0)
        order = np.argsort(np.linalg.norm(unit.mean(axis=0) - sums / count, axis=1))
        expected.append(next(int(index) for index in order if int(index) not in expected))
    assert choose("herding", Candidates(np.ones((12, 1)), lambda: features), 5, 0) == sorted(expected)


def test_kmeans__covers_every_cluster() -> None:
    sizes = (60, 20, 10, 6, 4)
    candidates = Candidates(np.ones((100, 1)), lambda: blobs(sizes))
    cluster = np.repeat(np.arange(5), sizes)
    for seed in range(3):
        assert set(cluster[choose("kmeans", candidates, 5, seed)]) == set(range(5))
