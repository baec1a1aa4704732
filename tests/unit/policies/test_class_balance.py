"""What is rare is shown more often, or weighs more: counts, weights and gradients after the formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.plugins.tiny_training import tiny_model
from treering_api import ClassBalance
from treering_trainer.dataset import Sample
from treering_trainer.engine.order import Mix
from treering_trainer.policies.class_balance import (
    ClassBalancePolicy,
    effective_number_weights,
    focal_weights,
    inverse_root_weights,
    rarity_weights,
    repeat_factors,
    varifocal_weights,
)
from treering_trainer.policies.interface import Shown, Situation, TrainingData
from treering_trainer.yolo.losses import _WeighedClassLoss

NAMES = ("a", "b", "c")
ONES = np.ones(10)
PRESENCE = np.array([[1, 0, 0]] * 7 + [[1, 1, 0]] * 2 + [[0, 0, 0]], dtype=float)
"""Ten images: a in nine of them, b in two, c in none, the last one without boxes."""


def sample(name: str, *classes: int) -> Sample:
    boxes = np.array([(kind, 0.5, 0.5, 0.2, 0.2) for kind in classes], dtype=np.float64).reshape(-1, 5)
    return Sample(name, Path(f"/{name}.jpg"), boxes, 64, 64, name, 0)


def data(
    *classes: tuple[int, ...], memory: tuple[tuple[int, ...], ...] = (), share: float | None = None
) -> TrainingData:
    new = tuple(sample(f"n{place}", *kinds) for place, kinds in enumerate(classes))
    old = tuple(sample(f"m{place}", *kinds) for place, kinds in enumerate(memory))
    return TrainingData(NAMES, new, (frozenset(NAMES),) * len(new), old, share)


def policy(**settings: object) -> ClassBalancePolicy:
    return ClassBalancePolicy(ClassBalance.model_validate(settings), Situation("full", 0, NAMES))


def test_repeat_factors__after_lvis() -> None:
    factors = repeat_factors(PRESENCE, ONES, threshold=0.8, most=4.0)
    assert factors == pytest.approx([1.0] * 7 + [2.0] * 2 + [1.0])  # sqrt(.8 / .2)


def test_repeat_factors__never_more_than_the_most() -> None:
    assert repeat_factors(PRESENCE, ONES, threshold=0.8, most=1.5).max() == 1.5


def test_repeat_factors__what_is_shown_often_anyway_is_not_rare() -> None:
    rates = np.array([1.0] * 7 + [16.0] * 2 + [1.0])  # b in 32 of 40 showings
    assert repeat_factors(PRESENCE, rates, threshold=0.8, most=4.0) == pytest.approx([1.0] * 10)


def test_rarity_weights__in_proportion_and_as_many_as_before() -> None:
    weights = rarity_weights(PRESENCE, ONES, most=100.0)
    assert weights.sum() == pytest.approx(10.0)
    assert weights[7] / weights[0] == pytest.approx(9 / 2)
    assert weights[9] == pytest.approx(weights[0]), "an image without a box counts as one of the commonest class"


def test_rarity_weights__the_cap_keeps_the_number_of_showings() -> None:
    weights = rarity_weights(PRESENCE, ONES, most=1.5)
    assert weights.max() == pytest.approx(1.5) and weights.sum() == pytest.approx(10.0)


@pytest.mark.parametrize("sampling", ["repeatFactor", "weighted"])
def test_compose__a_rare_class_is_shown_more_often(sampling: str) -> None:
    composed = policy(sampling=sampling, threshold=0.4).compose(data(*[(0,)] * 9, (1,)))
    mix = Mix(10, 0, 4, repeats=composed.repeats)
    shown = [index for epoch in range(200) for batch in mix.batches(0, epoch) for index in batch]
    assert shown.count(9) / 200 == pytest.approx(composed.repeats[9], abs=0.1)
    assert shown.count(9) > 1.8 * max(shown.count(index) for index in range(9))
    assert mix.passes == (11 if sampling == "repeatFactor" else 10)


def test_compose__memory_by_its_share_of_the_batches() -> None:
    plain = policy(threshold=0.5).compose(data(*[(0,)] * 8, memory=((1,), (2,))))
    assert plain.repeats[8:] == pytest.approx([5**0.5] * 2), "one in ten, so rare"
    shared = policy(threshold=0.4).compose(data(*[(0,)] * 8, memory=((1,), (2,)), share=0.8))
    assert shared.repeats == pytest.approx([2**0.5] * 8 + [1.0, 1.0]), "in two of five showings each; a in one"


def test_compose__no_sampling_changes_nothing() -> None:
    given = data((0,), (1,))
    assert policy(sampling="none").compose(given) is given


def test_class_weights__formulas_with_mean_one() -> None:
    boxes = np.array([100.0, 25.0, 0.0])
    one = inverse_root_weights(boxes)
    assert one == pytest.approx([2 / 3, 4 / 3, 1.0])
    two = effective_number_weights(boxes, 0.99)
    numbers = [(1 - 0.99**count) / 0.01 for count in (100, 25)]
    assert two[1] / two[0] == pytest.approx(numbers[0] / numbers[1])
    assert two[:2].mean() == pytest.approx(1.0) and two[2] == 1.0


def test_class_weights__of_what_an_epoch_shows() -> None:
    balanced = policy(lossWeights="inverse", sampling="none")
    balanced.start(
        tiny_model(), Shown((sample("x", 0, 0), sample("y", 1)), (sample("z", 2),), showings=(1.0, 2.0, 8.0))
    )
    assert balanced.weights is not None
    one, two, three = balanced.weights.tolist()
    assert (two, 2 * three) == pytest.approx((one, one))


def gradient(weighing: ClassBalancePolicy | None, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    leaf = logits.clone().requires_grad_()
    loss = _WeighedClassLoss((weighing,) if weighing else ())(leaf, targets).sum()
    (found,) = torch.autograd.grad(loss, leaf)
    return found


LOGITS = torch.tensor([[[-6.0, 0.5, 3.0], [2.0, -1.0, -4.0]]])
TARGETS = torch.tensor([[[0.0, 0.0, 0.8], [0.3, 0.0, 0.0]]])


def test_loss_weights__multiply_the_gradient() -> None:
    balanced = policy(lossWeights="effective", beta=0.9, sampling="none")
    balanced.start(tiny_model(), Shown((sample("x", 0, 0, 0, 1),), showings=(1.0,)))
    numbers = effective_number_weights(np.array([3.0, 1.0, 0.0]), 0.9)
    expected = gradient(None, LOGITS, TARGETS) * torch.tensor(numbers).float()
    assert torch.allclose(gradient(balanced, LOGITS, TARGETS), expected)


def test_focal__the_whole_gradient_of_the_paper() -> None:
    focal = policy(loss="focal", gamma=2.0, alpha=0.25, sampling="none")
    leaf = LOGITS.clone().requires_grad_()
    hard = (TARGETS > 0).float()
    chance = leaf.sigmoid()
    right = torch.where(hard > 0, chance, 1 - chance)
    weight = torch.where(hard > 0, torch.tensor(0.25), torch.tensor(0.75))
    (expected,) = torch.autograd.grad((-weight * (1 - right) ** 2 * right.log()).sum(), leaf)
    assert torch.allclose(gradient(focal, LOGITS, hard), expected, atol=1e-6)


def test_focal__easy_elements_count_less() -> None:
    weights = focal_weights(LOGITS, torch.zeros_like(LOGITS), gamma=2.0, alpha=0.25)
    order = LOGITS.flatten().argsort()
    assert bool((weights.flatten()[order].diff() > 0).all()), "the surer of background, the less"
    assert float(weights[0, 0, 0]) < 1e-4 < float(weights[0, 0, 2])


def test_varifocal__as_in_the_paper() -> None:
    chance = LOGITS.sigmoid()
    weights = varifocal_weights(LOGITS, TARGETS, gamma=1.5, alpha=0.75)
    assert weights[0, 0, 2] == TARGETS[0, 0, 2] and weights[0, 1, 0] == TARGETS[0, 1, 0]
    assert float(weights[0, 0, 1]) == pytest.approx(0.75 * float(chance[0, 0, 1]) ** 1.5)
    leaf = LOGITS.clone().requires_grad_()
    p, q = leaf.sigmoid(), TARGETS
    paper = torch.where(q > 0, -q * (q * p.log() + (1 - q) * (1 - p).log()), -0.75 * p**1.5 * (1 - p).log())
    (expected,) = torch.autograd.grad(paper.sum(), leaf)
    found = gradient(policy(loss="varifocal", gamma=1.5, alpha=0.75, sampling="none"), LOGITS, TARGETS)
    assert torch.allclose(found, expected, atol=1e-6)


def test_class_weights__none_where_only_sampling_was_asked_for() -> None:
    balanced = policy()
    balanced.start(tiny_model(), Shown((sample("x", 0),), showings=(1.0,)))
    assert balanced.class_weights({}, LOGITS, TARGETS) is None
