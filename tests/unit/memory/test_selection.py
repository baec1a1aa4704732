"""Each selection does what its name says, keeps distinct images and repeats itself for a seed."""

from __future__ import annotations

import time

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
    return Candidates(presence, lambda: blobs((40, 40, 40)), lambda: np.linspace(0, 1, 120))


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
    twins = Candidates(np.ones((6, 1)), lambda: np.tile([[1.0, 2.0]], (6, 1)), lambda: np.full(6, 0.5))
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


def cross_entropy(present: np.ndarray) -> float:
    """Of the uniform distribution and the classes' shares; a lost class counts as a thousandth of an image."""
    counts = np.maximum(present.sum(axis=0), 1e-3)
    return float(-np.log(counts / present.sum()).mean())


@pytest.mark.parametrize("seed", range(6))
def test_ocdm__equals_removal_by_brute_force(seed: int) -> None:
    source = np.random.default_rng(seed)
    presence = (source.random((14, 4)) < [0.9, 0.5, 0.3, 0.25]).astype(float)
    presence[presence.sum(axis=1) == 0, 0] = 1.0
    left = list(range(14))
    while len(left) > 5:
        entropies = [cross_entropy(presence[[keep for keep in left if keep != goes]]) for goes in left]
        left.pop(int(np.argmin(entropies)))
    chosen = choose("ocdm", Candidates(presence, no_features), 5, seed=seed)
    # Which one of several equal images goes is chance, and may lead elsewhere: what counts is the balance
    assert cross_entropy(presence[chosen]) <= cross_entropy(presence[left]) + 1e-9


def test_ocdm__better_balanced_than_chance_on_skewed_classes() -> None:
    candidates = Candidates(unbalanced().presence, no_features)

    def entropy(selection: str, seed: int) -> float:
        return cross_entropy(candidates.present[choose(selection, candidates, 12, seed)])

    assert all(entropy("ocdm", seed) == pytest.approx(np.log(3), abs=1e-3) for seed in range(5))
    assert all(entropy("random", seed) > np.log(3) + 0.1 for seed in range(5))


def test_ocdm__thousands_of_images_in_a_moment() -> None:
    source = np.random.default_rng(0)
    presence = (source.random((8000, 40)) < np.linspace(0.01, 0.4, 40)).astype(float)
    start_s = time.process_time()
    chosen = choose("ocdm", Candidates(presence, no_features), 800, seed=0)
    assert time.process_time() - start_s < 30  # the plain form looks at 8000 images 7200 times: minutes
    counts = presence[chosen].sum(axis=0)
    assert len(chosen) == 800
    assert counts.min() > 0.9 * min(presence.sum(axis=0).min(), counts.mean())


def test_ocdm__keeps_the_rare_and_lets_backgrounds_go_first() -> None:
    presence = np.zeros((10, 2))
    presence[:4, 0] = presence[4, 1] = 1
    assert choose("ocdm", Candidates(presence, no_features), 5, seed=1) == [0, 1, 2, 3, 4]
    assert 4 in choose("ocdm", Candidates(presence, no_features), 2, seed=1)


@pytest.mark.parametrize("selection", ["classBalanced", "ocdm"])
def test_balance__counts_what_is_remembered_already(selection: str) -> None:
    presence = np.eye(2).repeat(10, axis=0)
    candidates = Candidates(presence, no_features, taken=np.array([6.0, 0.0]))
    chosen = choose(selection, candidates, 10, seed=0)
    assert presence[chosen].sum(axis=0).tolist() == [2, 8]


def test_hard__from_the_upper_end_but_not_the_very_top() -> None:
    difficulty = np.random.default_rng(2).permutation(100) / 100
    candidates = Candidates(np.ones((100, 1)), no_features, lambda: difficulty)
    chosen = choose("hard", candidates, 20, seed=0)
    assert sorted(difficulty[chosen]) == [value / 100 for value in range(75, 95)]
    assert max(difficulty[choose("hard", candidates, 96, seed=0)]) == 0.99, "the doubtful come last, not never"


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
