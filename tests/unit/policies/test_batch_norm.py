"""Statistics held, left or measured anew; alone, weights stay bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.plugins.tiny_training import (
    IMAGE_SIZE,
    differing,
    make_recipe,
    make_samples,
    make_settings,
    tensors_of,
    tiny_model,
)
from treering_api import BadSpecError, BatchNorm, Freeze
from treering_trainer.policies.batch_norm import BatchNormPolicy
from treering_trainer.policies.freeze import FreezePolicy
from treering_trainer.policies.interface import Policy, Situation, TrainingData
from treering_trainer.yolo.statistics import measure_statistics
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import Trained, train

NAMES = ("a", "b", "c")
STATISTICS = ("running_mean", "running_var")
SITUATION = Situation("incremental", 0, NAMES, NAMES, toolbox=YoloToolbox(IMAGE_SIZE, "cpu"))


def train_with(folder: Path, *policies: Policy) -> Trained:
    recipe, _ = make_recipe(
        folder,
        make_samples(folder / "pictures", 4),
        make_samples(folder / "memory", 2, seed=7),
        settings=make_settings(epochs=2),
        policies=policies,
    )
    return train(recipe, tiny_model(NAMES), None)


def changed(trained: Trained) -> tuple[set[str], set[str]]:
    """Names of the weights and of the running statistics that a training changed."""
    names = {
        name
        for name in differing(tensors_of(tiny_model(NAMES)), tensors_of(trained.model))
        if not name.endswith("num_batches_tracked")
    }
    statistics = {name for name in names if name.endswith(STATISTICS)}
    return names - statistics, statistics


def all_statistics() -> set[str]:
    return {name for name in tiny_model(NAMES).state_dict() if name.endswith(STATISTICS)}


class TwoLayers(nn.Module):
    """Normalises, then normalises what a weight made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.second = nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.middle(self.first(images)))
        return result


def test_measure_statistics__equals_a_direct_computation() -> None:
    torch.manual_seed(0)
    batches = [torch.randn(4, 3, 6, 6) + 2, torch.randn(4, 3, 6, 6) * 3, torch.randn(1, 3, 6, 6)]
    model = TwoLayers().eval()
    measure_statistics(model, batches)
    for layer, seen in ((model.first, batches), (model.second, [_after_first(model, batch) for batch in batches])):
        mean = sum(len(batch) * batch.mean((0, 2, 3)) for batch in seen) / 9
        variance = sum(len(batch) * batch.var((0, 2, 3)) for batch in seen) / 9
        assert layer.running_mean is not None and layer.running_var is not None
        torch.testing.assert_close(layer.running_mean, mean)
        torch.testing.assert_close(layer.running_var, variance)
        assert (layer.momentum, layer.training) == (0.1, False)


def _after_first(model: TwoLayers, batch: torch.Tensor) -> torch.Tensor:
    mean, variance = batch.mean((0, 2, 3), keepdim=True), batch.var((0, 2, 3), keepdim=True, correction=0)
    output: torch.Tensor = model.middle((batch - mean) / (variance + model.first.eps).sqrt()).detach()
    return output


def test_measure_statistics__held_layers_and_no_images_change_nothing() -> None:
    model = TwoLayers().train()
    before = tensors_of(model)
    measure_statistics(model, [])
    assert differing(before, tensors_of(model)) == []
    measure_statistics(model, [torch.randn(2, 3, 4, 4)], held=("first",))
    assert set(differing(before, tensors_of(model))) == {
        f"second.{name}" for name in (*STATISTICS, "num_batches_tracked")
    }
    assert model.training and model.first.training


def test_recalibrated__the_statistics_are_those_of_the_images_shown(tmp_path: Path) -> None:
    policy = BatchNormPolicy(BatchNorm(), SITUATION)
    trained = train_with(tmp_path, policy)
    assert trained.forward_passes == policy.passes == 6
    again = tensors_of(trained.model)
    assert SITUATION.toolbox is not None
    shown = (*make_samples(tmp_path / "pictures", 4), *make_samples(tmp_path / "memory", 2, seed=7))
    SITUATION.toolbox.measure_statistics(trained.model, shown)
    for name in all_statistics():
        torch.testing.assert_close(again[name], trained.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_frozen__no_statistic_changes_while_weights_learn(tmp_path: Path) -> None:
    weights, statistics = changed(train_with(tmp_path, BatchNormPolicy(BatchNorm(statistics="frozen"), SITUATION)))
    assert statistics == set() and "model.0.conv.weight" in weights


def test_tracked__as_training_leaves_them(tmp_path: Path) -> None:
    tracked = train_with(tmp_path / "tracked", BatchNormPolicy(BatchNorm(statistics="tracked"), SITUATION))
    plain = train_with(tmp_path / "plain")
    assert differing(tensors_of(tracked.model), tensors_of(plain.model)) == []


def test_full_round__as_training_leaves_them(tmp_path: Path) -> None:
    situation = Situation("full", 0, NAMES, toolbox=SITUATION.toolbox)
    for statistics in ("frozen", "recalibrated"):
        policy = BatchNormPolicy(BatchNorm.model_validate({"statistics": statistics}), situation)
        assert policy.trains
        trained = train_with(tmp_path / statistics, policy)
        assert (changed(trained)[1], trained.forward_passes) == (all_statistics(), 0)


def test_recalibrated__what_freeze_holds_stays(tmp_path: Path) -> None:
    freeze = FreezePolicy(Freeze(layers=3), SITUATION)
    _, statistics = changed(train_with(tmp_path, freeze, BatchNormPolicy(BatchNorm(), SITUATION)))
    held = {name for name in all_statistics() if name.startswith(("model.0.", "model.1.", "model.2."))}
    assert statistics == all_statistics() - held


def test_held__goes_through_a_resume() -> None:
    before = BatchNormPolicy(BatchNorm(), SITUATION)
    model = tiny_model(NAMES).train()
    layer = model.get_submodule("model.0.bn").eval()
    before.train_mode(model)
    after = BatchNormPolicy(BatchNorm(), SITUATION)
    after.load_state_dict(before.state_dict())
    assert after.state_dict() == {"held": ["model.0.bn"]}
    layer.train()
    after.train_mode(model)
    assert after.state_dict() == {"held": []}


def test_alone__weights_stay_bit_for_bit_and_statistics_adapt(tmp_path: Path) -> None:
    trained = train_with(tmp_path, BatchNormPolicy(BatchNorm(alone=True), SITUATION))
    weights, statistics = changed(trained)
    assert (weights, statistics) == (set(), all_statistics())
    assert (trained.epochs, trained.image_passes, trained.best_epoch, trained.stopped_early) == ((), 0, 0, False)
    assert trained.remarks == ("batchNorm: nothing was trained; the statistics were measured on 6 images.",)


def test_alone__new_classes_are_refused() -> None:
    policy = BatchNormPolicy(BatchNorm(alone=True), Situation("incremental", 0, NAMES, ("a", "b")))
    with pytest.raises(BadSpecError) as caught:
        policy.compose(TrainingData(NAMES, (), ()))
    assert str(caught.value) == (
        "spec.policies.batchNorm.alone: the delivery shows new classes (c), and nothing is trained. "
        "Set alone: false for this round, or deliver pictures of known classes only."
    )
