"""What is fitted, what is not, and that the fit is the logistic regression it says it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.plugins.tiny_training import (
    ARCHITECTURE,
    IMAGE_SIZE,
    TWO_BRANCHES,
    differing,
    make_recipe,
    make_samples,
    make_settings,
    seeing_model,
    tensors_of,
    tiny_model,
)
from treering_api import LinearProbe
from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Shown, Situation
from treering_trainer.policies.linear_probe import LinearProbePolicy, Seen, fit_rows, keep_anchors
from treering_trainer.yolo.parts import class_branches
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import train

NAMES = ("a", "b", "c")
FITTED = ("a", "b")
TOOLBOX = YoloToolbox(IMAGE_SIZE, "cpu")


def probe(strategy: str = "incremental", **settings: Any) -> LinearProbePolicy:
    situation = Situation(strategy, 0, NAMES, ("a", "b") if strategy == "incremental" else (), toolbox=TOOLBOX)
    return LinearProbePolicy(LinearProbe(**settings), situation)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, TWO_BRANCHES], ids=["one-branch", "two-branches"])
def test_warm_start__only_the_new_rows_change(architecture: dict[str, Any], tmp_path: Path) -> None:
    model = tiny_model(NAMES, architecture=architecture)
    before = tensors_of(model)
    probe(steps=20).warm_start(model, Shown(make_samples(tmp_path, 6), fitted=FITTED))
    rows = set(TOOLBOX.class_parameters(model))
    assert differing(before, tensors_of(model)) and set(differing(before, tensors_of(model))) <= rows
    after = model.state_dict()
    assert all(torch.equal(before[name][:2], after[name][:2]) for name in rows), "old rows stay bit for bit"
    for branch in ("cv3", "one2one_cv3")[: len(list(class_branches(model)))]:
        fitted = [name for name in rows if f".{branch}." in name and not torch.equal(before[name][2], after[name][2])]
        assert fitted, f"no level of {branch} was fitted"


def test_warm_start__the_new_class_is_told_better(tmp_path: Path) -> None:
    samples, model = make_samples(tmp_path, 12), tiny_model(NAMES)

    def loss_of_class_c() -> float:
        total = 0.0
        with torch.no_grad():
            for images, batch in TOOLBOX.batches(samples, NAMES, batch=4):
                for layer, features, targets in TOOLBOX.class_inputs(model, images, batch):
                    assert layer.bias is not None
                    logits = features @ layer.weight[2, :, 0, 0] + layer.bias[2]
                    total += float(
                        torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[..., 2], reduction="sum")
                    )
        return total

    before = loss_of_class_c()
    probe().warm_start(model, Shown(samples, fitted=FITTED))
    assert loss_of_class_c() < 0.8 * before


def relabelled(samples: Sequence[Sample], kind: int) -> tuple[Sample, ...]:
    return tuple(
        replace(sample, boxes=np.column_stack([np.full(len(sample.boxes), kind), sample.boxes[:, 1:]]))
        for sample in samples
    )


def test_warm_start__remembered_objects_of_other_classes_are_none_of_the_new_one(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 12)
    new, memory = relabelled(samples[:6], 2), relabelled(samples[6:], 0)

    def score_on_memory(shown: Shown) -> float:
        """Of class c where remembered objects are; they look as its own do."""
        model, policy, found = seeing_model(NAMES), probe(), list[torch.Tensor]()
        policy.warm_start(model, shown)
        assert policy.account().forward_passes == len(shown.new) + len(shown.memory)
        with torch.no_grad():
            for images, batch in TOOLBOX.batches(memory, NAMES, batch=6):
                for layer, features, targets in TOOLBOX.class_inputs(model, images, batch):
                    assert layer.bias is not None
                    at_object = targets[..., 0] > 0
                    found.append(features[at_object] @ layer.weight[2, :, 0, 0] + layer.bias[2])
        return float(torch.cat(found).sigmoid().mean())

    alone, beside = score_on_memory(Shown(new, fitted=FITTED)), score_on_memory(Shown(new, memory, fitted=FITTED))
    assert beside < 0.95 * alone


def test_warm_start__a_class_that_no_image_shows_keeps_its_row(tmp_path: Path) -> None:
    model = tiny_model(NAMES)
    before = tensors_of(model)
    probe(steps=5).warm_start(model, Shown(make_samples(tmp_path, 4, classes=2), fitted=FITTED))
    assert differing(before, tensors_of(model)) == []


@pytest.mark.parametrize(("rounds", "fresh"), [("incremental", ()), ("all", (0, 2))])
def test_fresh__full_trainings(rounds: str, fresh: tuple[int, ...]) -> None:
    assert probe("full", rounds=rounds).fresh(("person", "b")) == fresh


def test_warm_start__not_where_a_training_goes_on(tmp_path: Path) -> None:
    samples, policy = make_samples(tmp_path / "pictures", 6), probe(steps=5)
    began: list[int] = []
    original = policy.warm_start

    def warm_start(model: torch.nn.Module, shown: Shown) -> None:
        began.append(1)
        original(model, shown)

    policy.warm_start = warm_start  # type: ignore[method-assign]
    settings = make_settings(epochs=2)
    recipe, _ = make_recipe(tmp_path, samples, settings=settings, policies=(policy,), stop_at=3)
    with pytest.raises(Exception, match="stopped"):
        train(recipe, tiny_model(NAMES), None)
    recipe, _ = make_recipe(tmp_path, samples, settings=settings, policies=(policy,))
    assert train(recipe, tiny_model(NAMES), None).attempts == 2
    assert began == [1]


def test_fit_rows__is_the_logistic_regression() -> None:
    source = torch.Generator().manual_seed(0)
    features = torch.randn(400, 3, generator=source) * torch.tensor([1.0, 5.0, 0.2]) + torch.tensor([0.0, 2.0, -1.0])
    logits = features @ torch.tensor([1.5, -0.4, 0.0]) - 0.5
    targets = torch.stack([logits.sigmoid(), (logits > 0).float()], dim=1)
    weight, bias = fit_rows(Seen(features, targets, torch.ones(400)), torch.tensor([-4.0, -4.0]), steps=800)
    told = (features @ weight.T + bias).sigmoid()
    assert float((told[:, 0] - targets[:, 0]).abs().max()) < 0.05
    assert float(((told[:, 1] > 0.5) == (targets[:, 1] > 0.5)).float().mean()) > 0.97


def test_keep_anchors__objects_all_background_by_weight() -> None:
    features, targets = torch.arange(2000.0).view(2, 500, 2), torch.zeros(2, 500, 3)
    targets[0, 7, 0], targets[1, 3, 2] = 0.9, 0.4
    seen = keep_anchors(features, targets, (2,), torch.Generator().manual_seed(0))
    assert len(seen.features) == 2 + 128
    assert sorted(seen.targets[:2, 0].tolist()) == pytest.approx([0.0, 0.4])  # an old class's anchor is a hard negative
    assert float(seen.weights.sum()) == pytest.approx(1000)
    assert torch.equal(seen.weights[:2], torch.ones(2))
    objects = keep_anchors(features, targets, (2,), torch.Generator().manual_seed(0), background=0)
    assert torch.equal(objects.features, seen.features[:2]) and torch.equal(objects.weights, torch.ones(2))
