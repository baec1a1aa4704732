"""What is frozen stays bit for bit, statistics included where they should; the rest learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plugins.tiny_training import differing, make_recipe, make_samples, make_settings, tensors_of, tiny_model
from treering_api import BadSpecError, Freeze
from treering_trainer.policies.freeze import FreezePolicy, backbone_length, layers_to_freeze
from treering_trainer.policies.interface import Situation
from treering_trainer.yolo.parts import head_of
from treering_trainer.yolo.training import train
from treering_trainer.yolo.weights import from_scratch

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def changed_by(settings: Freeze, folder: Path, *, strategy: str = "incremental") -> tuple[set[str], set[str]]:
    """Names of the weights and of the statistics that a training changes."""
    model = tiny_model()
    before = tensors_of(model)
    policy = FreezePolicy(settings, Situation(strategy, 0, ("a", "b", "c")))
    recipe, _ = make_recipe(
        folder, make_samples(folder / "pictures", 4), settings=make_settings(epochs=2), policies=(policy,)
    )
    changed = set(differing(before, tensors_of(train(recipe, model, None).model)))
    statistics = {name for name in changed if name.endswith(STATISTICS)}
    return changed - statistics, statistics


def below(names: set[str], *prefixes: str) -> set[str]:
    return {name for name in names if name.startswith(tuple(f"model.{prefix}." for prefix in prefixes))}


@pytest.mark.parametrize(
    ("settings", "frozen"),
    [
        (Freeze(layers=3), ("0", "1", "2")),
        (Freeze(backbone=True), tuple(map(str, range(7)))),
        (Freeze(names=("9", "10.cv2")), ("9", "10.cv2")),
        (Freeze(layers=1, names=("4.cv1.bn",)), ("0", "4.cv1.bn")),
    ],
    ids=["layers", "backbone", "names", "a-batch-norm-alone"],
)
def test_freeze__frozen_layers_stay_bit_for_bit(settings: Freeze, frozen: tuple[str, ...], tmp_path: Path) -> None:
    weights, statistics = changed_by(settings, tmp_path)
    assert below(weights, *frozen) == below(statistics, *frozen) == set()
    everything = {name for name in tiny_model().state_dict() if ".dfl." not in name}
    learning = {name for name in everything - below(everything, *frozen) if not name.endswith("num_batches_tracked")}
    assert learning <= weights | statistics


def test_freeze__batch_norm_all_holds_every_statistic(tmp_path: Path) -> None:
    weights, statistics = changed_by(Freeze(layers=3, batch_norm="all"), tmp_path)
    assert statistics == set()
    assert below(weights, "0", "1", "2") == set() and below(weights, "3", "10") != set()


def test_freeze__batch_norm_none_lets_statistics_adapt(tmp_path: Path) -> None:
    weights, statistics = changed_by(Freeze(layers=3, batch_norm="none"), tmp_path)
    assert below(weights, "0", "1", "2") == set()
    running = {name for name in tiny_model().state_dict() if name.endswith(("running_mean", "running_var"))}
    assert running <= statistics


@pytest.mark.parametrize(("rounds", "frozen"), [("incremental", False), ("all", True)])
def test_freeze__full_trainings(rounds: Any, frozen: bool, tmp_path: Path) -> None:
    weights, _ = changed_by(Freeze(layers=3, rounds=rounds), tmp_path, strategy="full")
    assert (below(weights, "0", "1", "2") == set()) is frozen


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Freeze(layers=11),
            "spec.policies.freeze.layers: 11 layers are to be frozen and the model has 11, the last of which is the "
            "head. Give at most 10.",
        ),
        (
            Freeze(names=("neck",)),
            "spec.policies.freeze.names: no layer of the model with weights is called 'neck'. Use a layer's index with "
            "an optional path below it, such as `4` or `22.cv2`.",
        ),
        (Freeze(names=("0.conv.weight",)), "no layer of the model with weights is called '0.conv.weight'"),
        (Freeze(names=("7",)), "no layer of the model with weights is called '7'"),  # the upsampling
        (
            Freeze(layers=10, names=("10",)),
            "spec.policies.freeze: every layer of the model would be frozen. Leave at least a part of the head out.",
        ),
    ],
    ids=["too-many", "unknown", "a-tensor", "without-weights", "all"],
)
def test_layers_to_freeze__refused(settings: Freeze, message: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        layers_to_freeze(tiny_model(), settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "length"),
    [("yolov8n.yaml", 10), ("yolov10n.yaml", 11), ("yolo11n.yaml", 11), ("yolo12n.yaml", 9), ("yolo26n.yaml", 11)],
)
def test_backbone_length__of_published_architectures(architecture: str, length: int) -> None:
    model = from_scratch(architecture, ("a",), shown_as=architecture, seed=0)
    assert backbone_length(model) == length
    assert head_of(model).nc == 1
