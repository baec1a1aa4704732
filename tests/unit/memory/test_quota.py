"""Every increment keeps its share of the memory, and the selection works inside each."""

from __future__ import annotations

import numpy as np
import pytest

from treering_trainer.memory import Candidates, choose_balanced, quotas


def no_features() -> np.ndarray:
    raise AssertionError("this selection needs no features")


@pytest.mark.parametrize(
    ("size", "weights", "available", "expected"),
    [
        (10, {"a": 80, "b": 20}, {"a": 80, "b": 20}, {"a": 8, "b": 2}),
        (10, {"a": 1000, "b": 10, "c": 10}, {"a": 50, "b": 10, "c": 10}, {"a": 8, "b": 1, "c": 1}),
        (10, {"a": 50, "b": 50}, {"a": 3, "b": 50}, {"a": 3, "b": 7}),
        (2, {"a": 5, "b": 50, "c": 20}, {"a": 5, "b": 50, "c": 20}, {"a": 0, "b": 1, "c": 1}),
        (9, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 1}),
        (0, {"a": 1}, {"a": 4}, {"a": 0}),
    ],
    ids=["by-images", "one-for-everyone", "leaves-its-places", "fewer-than-groups", "more-than-there-is", "none"],
)
def test_quotas__cases(
    size: int, weights: dict[str, float], available: dict[str, int], expected: dict[str, int]
) -> None:
    assert quotas(size, weights, available) == expected


def test_choose_balanced__old_increments_keep_their_share_as_the_line_grows() -> None:
    """Ten rounds of 100 images each and a memory of a tenth: without quotas, the first would be down to one or none."""
    remembered: list[str] = []
    weights: dict[str, float] = {}
    for number in range(10):
        name = f"w{number}"
        weights[name] = 100
        groups = [*remembered, *([name] * 100)]
        candidates = Candidates(np.ones((len(groups), 1)), no_features)
        chosen = choose_balanced("random", candidates, groups, weights, 10 * (number + 1), seed=number)
        remembered = [groups[index] for index in chosen]
    assert {name: remembered.count(name) for name in weights} == dict.fromkeys(weights, 10)


def test_choose_balanced__the_newest_evens_out_what_older_ones_lack() -> None:
    presence = np.zeros((24, 2))
    presence[:4, 0] = 1  # the memory of the first: class a alone
    presence[4:14, 0] = presence[14:, 1] = 1
    groups = ["w1"] * 4 + ["w2"] * 20
    for selection in ("classBalanced", "ocdm"):
        candidates = Candidates(presence, no_features)
        chosen = choose_balanced(selection, candidates, groups, {"w1": 40, "w2": 40}, 8, seed=3)
        assert [groups[index] for index in chosen].count("w1") == 4
        assert presence[chosen].sum(axis=0).tolist() == [4, 4]


def test_choose_balanced__features_are_those_of_the_same_images() -> None:
    features = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5 + [[1.0, 1.0]])
    candidates = Candidates(np.ones((11, 1)), lambda: features)
    chosen = choose_balanced("kmeans", candidates, [*"xxxxxyyyyy", "y"], {}, 3, seed=0)
    assert [index for index in chosen if index < 5] == chosen[:1] and 10 in chosen
