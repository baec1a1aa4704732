"""Importance is the mean square of gradients, and what is important moves less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from treering_api import Ewc
from treering_trainer.dataset import Sample
from treering_trainer.policies.ewc import MOST_IMPORTANT, EwcPolicy, accumulate, anchor, fisher
from treering_trainer.policies.interface import Shown, Situation
from treering_trainer.stages.keeping import read_kept, save_kept
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import Trained, train

OLD, NAMES = ("a", "b"), ("a", "b", "c")
TOOLBOX = YoloToolbox(IMAGE_SIZE, "cpu")


class Straight(nn.Module):
    """Two weights; the loss of an image x is (first · x)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([3.0]), requires_grad=False)
        self.unused = nn.Parameter(torch.tensor([1.0]))


class StraightToolbox(YoloToolbox):
    """Images 1, 2, ... with that loss."""

    def batches(
        self, samples: Sequence[Sample], names: Sequence[str], *, batch: int
    ) -> Iterator[tuple[torch.Tensor, dict[str, Any]]]:
        assert batch == 1
        for number, _ in enumerate(samples, start=1):
            yield torch.tensor([float(number)]), {}

    def loss(self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
        assert isinstance(model, Straight)
        return (model.first * images).sum()


def test_fisher__is_the_mean_of_squared_gradients(tmp_path: Path) -> None:
    model = Straight()
    found = fisher(model, make_samples(tmp_path, 3), NAMES, StraightToolbox(IMAGE_SIZE, "cpu"))
    assert found.keys() == {"first"}
    assert found["first"].item() == pytest.approx((1 + 4 + 9) / 3)
    assert [weight.requires_grad for weight in model.parameters()] == [False, True]


def test_fisher__of_the_whole_detection_loss_of_each_image(tmp_path: Path) -> None:
    model, samples = tiny_model(), make_samples(tmp_path, 2)
    weight = dict(model.named_parameters())["model.0.conv.weight"]
    expected = torch.zeros_like(weight)
    for sample in samples:
        ((images, batch),) = TOOLBOX.batches((sample,), NAMES, batch=1)
        model.zero_grad()
        TOOLBOX.loss(model, images, batch).backward()
        assert weight.grad is not None
        expected += weight.grad.square() / 2
    before = tensors_of(model)
    found = fisher(model, samples, NAMES, TOOLBOX)
    torch.testing.assert_close(found["model.0.conv.weight"], expected)
    assert differing(before, tensors_of(model)) == []
    assert not any(".dfl." in name for name in found)
    bias = {name for name in TOOLBOX.class_parameters(model) if name.endswith("bias")}
    assert bias <= found.keys() and all(found[name].sum() > 0 for name in bias)


def test_accumulate__old_importance_fades_and_new_rows_begin() -> None:
    before = {"a": torch.tensor([4.0, 2.0]), "gone": torch.ones(1)}
    after = accumulate(before, {"a": torch.tensor([1.0, 1.0, 5.0]), "b": torch.ones(2)}, 0.5)
    assert {name: tensor.tolist() for name, tensor in after.items()} == {"a": [3.0, 2.0, 5.0], "b": [1.0, 1.0]}
    again = accumulate(after, {"a": torch.zeros(3)}, 0.5)
    assert again["a"].tolist() == [1.5, 1.0, 2.5]


class Vector(nn.Module):
    """A parameter with rows."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.tensor(values))


def test_penalty__its_gradient_is_the_formula_in_both_regimes() -> None:
    published, model = Vector([2.0, -2.0, 2.0]), Vector([2.1, -1.0, 1.0, 9.0])
    importance = {"rows": torch.tensor([1.0, 2.0, 6.0, 50.0])}  # the last row is a new class's
    tied = anchor(model, published, importance, Ewc(strength=4, huber=0.25))
    assert tied is not None
    tied.penalty().backward()
    mean, unit = 3.0, 2.0
    pulls = [4 * mean**0.5 * value / mean for value in (1.0, 2.0, 6.0)]
    drifts = [0.1 / unit, 0.25, -0.25]  # the first is quadratic, the others at the limit
    expected = [pull * drift for pull, drift in zip(pulls, drifts, strict=True)]
    assert model.rows.grad is not None
    torch.testing.assert_close(model.rows.grad, torch.tensor([*expected, 0.0]))


def test_penalty__holds_what_is_important_and_lets_the_rest_go() -> None:
    """Both weights are pulled away with a force of 1: one rests where its spring meets it, one is past the limit."""
    model = Vector([1.0, 1.0])
    tied = anchor(model, Vector([1.0, 1.0]), {"rows": torch.tensor([9.0, 1.0])}, Ewc(strength=20, huber=0.1))
    assert tied is not None
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        (tied.penalty() - model.rows.sum()).backward()
        optimizer.step()
    moved = (model.rows.detach() - 1).tolist()
    assert moved[0] == pytest.approx(1 / (20 * 5**0.5 * 9 / 5), rel=1e-3)
    assert 0.1 < moved[1] < 1.0  # alone it would have gone 1


def test_penalty__no_weight_counts_more_than_a_hundred_times_the_mean() -> None:
    published = Vector([1.0] * 1000)
    importance = torch.ones(1000)
    importance[0] = 1e6
    tied = anchor(Vector([1.0] * 1000), published, {"rows": importance}, Ewc(strength=1))
    assert tied is not None
    assert tied.pull[0].item() == pytest.approx(float(importance.mean().sqrt()) * MOST_IMPORTANT)


@pytest.mark.parametrize("scale", [1e-6, 1e3], ids=["small-loss", "large-loss"])
def test_penalty__in_proportion_to_the_loss(scale: float) -> None:
    """A loss of k times the size has k² times the importance, and must be met by k times the penalty."""
    published, model = Vector([2.0, -2.0]), Vector([2.5, -2.5])
    importance = torch.tensor([1.0, 3.0])
    plain = anchor(model, published, {"rows": importance}, Ewc())
    scaled = anchor(model, published, {"rows": importance * scale**2}, Ewc())
    assert plain is not None and scaled is not None
    assert scaled.penalty().item() == pytest.approx(scale * plain.penalty().item(), rel=1e-4)


def test_penalty__nothing_is_important() -> None:
    assert anchor(Vector([1.0]), Vector([1.0]), {"rows": torch.zeros(1)}, Ewc()) is None
    assert anchor(Vector([1.0]), Vector([1.0]), {}, Ewc()) is None


def second_round(folder: Path, settings: Ewc, kept: dict[str, dict[str, torch.Tensor]]) -> tuple[EwcPolicy, Trained]:
    published = tiny_model(OLD)
    situation = Situation(
        "incremental", 0, NAMES, OLD, YoloDetector(published, IMAGE_SIZE, "cpu"), kept=kept, toolbox=TOOLBOX
    )
    policy = EwcPolicy(settings, situation)
    recipe, _ = make_recipe(
        folder, make_samples(folder / "pictures", 4), settings=make_settings(epochs=3), policies=(policy,)
    )
    return policy, train(recipe, grow_head(tiny_model(OLD), NAMES, seed=0), None)


def test_ewc__what_was_important_moves_less_and_what_was_not_moves_on(tmp_path: Path) -> None:
    start = tensors_of(grow_head(tiny_model(OLD), NAMES, seed=0))
    important, other = "model.4.cv1.conv.weight", "model.2.cv1.conv.weight"
    names = [name for name, _ in tiny_model(OLD).named_parameters() if ".dfl." not in name]
    mattered = {name: torch.zeros_like(tensor) for name, tensor in tiny_model(OLD).named_parameters() if name in names}
    mattered[important] += 1.0
    moved = {}
    for strength in (1e-6, 1e5):
        _, trained = second_round(tmp_path / str(strength), Ewc(strength=strength, images=1), {"ewc": mattered})
        after = trained.model.state_dict()
        moved[strength] = {name: float((after[name] - start[name]).norm()) for name in (important, other)}
    assert moved[1e5][important] < 0.3 * moved[1e-6][important]
    assert moved[1e5][other] > 0.3 * moved[1e-6][other]


def test_ewc__importance_over_two_rounds_and_through_the_store(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "pictures", 3)
    first = EwcPolicy(Ewc(), Situation("full", 0, OLD, toolbox=TOOLBOX))
    kept = first.keep(tiny_model(OLD), Shown(samples[:2]))
    assert first.account().image_passes == 2
    save_kept(tmp_path, {"ewc": kept})
    back = read_kept(tmp_path)
    assert differing(kept, back["ewc"]) == []
    model = grow_head(tiny_model(OLD), NAMES, seed=0)
    second = EwcPolicy(Ewc(decay=0.5), Situation("incremental", 0, NAMES, OLD, kept=back, toolbox=TOOLBOX))
    grown = second.keep(model, Shown(samples))
    fresh = fisher(model, samples, NAMES, TOOLBOX)
    name = next(item for item in TOOLBOX.class_parameters(model) if item.endswith("weight"))
    torch.testing.assert_close(grown[name][:2], 0.5 * kept[name] + fresh[name][:2])
    torch.testing.assert_close(grown[name][2:], fresh[name][2:])


def test_ewc__where_nothing_was_trained_importance_stays() -> None:
    kept = {"ewc": {"model.0.conv.weight": torch.ones(2)}}
    policy = EwcPolicy(Ewc(), Situation("incremental", 0, OLD, OLD, kept=kept, toolbox=TOOLBOX))
    assert policy.keep(tiny_model(OLD), Shown((), trained=False)) == kept["ewc"]


def test_ewc__new_in_a_line_it_measures_the_published_model_on_the_memory(tmp_path: Path) -> None:
    memory = make_samples(tmp_path, 2, classes=2)
    published = tiny_model(OLD)
    situation = Situation(
        "incremental", 0, OLD, OLD, YoloDetector(published, IMAGE_SIZE, "cpu"), memory_samples=memory, toolbox=TOOLBOX
    )
    policy, model = EwcPolicy(Ewc(images=5), situation), tiny_model(OLD)
    policy.epoch_start(model, 0)
    assert policy.account().image_passes == 2
    assert float(policy.losses({}, None)["ewc"]) == 0.0
    with torch.no_grad():
        dict(model.named_parameters())["model.0.conv.weight"].add_(0.1)
    assert float(policy.losses({}, None)["ewc"]) > 0
    resumed = EwcPolicy(Ewc(images=5), situation)
    resumed.load_state_dict(policy.state_dict())
    resumed.epoch_start(model, 1)
    assert torch.equal(resumed.losses({}, None)["ewc"], policy.losses({}, None)["ewc"])
    assert resumed.account().image_passes == 2


def test_ewc__a_first_round_has_no_penalty_but_keeps_importance(tmp_path: Path) -> None:
    policy = EwcPolicy(Ewc(), Situation("full", 0, NAMES, toolbox=TOOLBOX))
    recipe, _ = make_recipe(
        tmp_path, make_samples(tmp_path / "pictures", 3), settings=make_settings(epochs=1), policies=(policy,)
    )
    trained = train(recipe, tiny_model(NAMES), None)
    assert "ewc" not in trained.epochs[0].losses
    assert trained.kept["ewc"]["model.0.conv.weight"].sum() > 0
    assert trained.image_passes == 3 + 3
