"""What a training gives, and how it ends where it can't go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.plugins.tiny_training import (
    IMAGE_SIZE,
    make_recipe,
    make_samples,
    make_settings,
    tensors_of,
    tiny_model,
)
from treering_api import BadSpecError, ResumableError
from treering_trainer.engine.order import Mix
from treering_trainer.policies.interface import Policy, Situation
from treering_trainer.yolo.losses import PolicyLoss
from treering_trainer.yolo.parts import class_branches, last_convolution
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import train

SITUATION = Situation("incremental", 0, ("a", "b", "c"))


class QuietScores(Policy):
    """Adds a loss of its own: high scores cost."""

    name = "quietScores"
    adds_loss = True

    def __init__(self, weight: float = 100.0) -> None:
        super().__init__(SITUATION)
        self.weight = weight

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        return {"quiet": self.weight * predictions["scores"].sigmoid().mean()}


class Failing(Policy):
    """Fails in one epoch, as `failure` says."""

    name = "failing"
    adds_loss = True

    def __init__(self, epoch: int, failure: str) -> None:
        super().__init__(SITUATION)
        self.failing_epoch, self.failure, self.epoch = epoch, failure, -1

    def epoch_start(self, model: torch.nn.Module, epoch: int) -> None:
        self.epoch = epoch

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        if self.epoch == self.failing_epoch and self.failure == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        factor = float("nan") if self.epoch == self.failing_epoch else 0.0
        return {"failing": factor * predictions["scores"].mean()}


def test_train__gives_the_average_in_full_precision(tmp_path: Path) -> None:
    model = tiny_model()
    before = tensors_of(model)
    recipe, audience = make_recipe(tmp_path, make_samples(tmp_path / "pictures", 6), settings=make_settings(epochs=2))
    trained = train(recipe, model, None)
    after = trained.model.state_dict()
    assert all(tensor.dtype == before[name].dtype for name, tensor in after.items())
    assert not trained.model.training
    assert any(not torch.equal(after[name], before[name]) for name in after)
    # An average over few steps stays near the start, unlike the weights themselves; fp16 would show in the last bits
    assert any(not torch.equal(tensor, tensor.half().float()) for tensor in after.values() if tensor.dim() == 4)
    assert [record.epoch for record in audience.records] == [1, 2]
    assert set(trained.epochs[0].losses) == {"box_loss", "cls_loss", "dfl_loss"}
    assert (trained.best_epoch, trained.stopped_early, trained.gpu_seconds) == (2, False, 0.0)


def test_train__computes_with_the_threads_that_torch_was_told(tmp_path: Path) -> None:
    torch.set_num_threads(3)  # neither the machine's number nor ultralytics' idea of it
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path / "pictures", 4))
    train(recipe, tiny_model(), None)
    assert torch.get_num_threads() == 3


def test_train__counts_the_images_it_shows(tmp_path: Path) -> None:
    new, memory = make_samples(tmp_path / "pictures", 7), make_samples(tmp_path / "pictures", 3, seed=1)
    recipe, audience = make_recipe(tmp_path, new, memory, batch_share=0.5)
    trained = train(recipe, tiny_model(), None)
    assert trained.image_passes == 2 * Mix(7, 3, 4, 0.5).passes == 2 * (7 + 4 * 2)
    assert audience.passes[-1] == (trained.image_passes, trained.image_passes)


def test_train__keeps_the_best_epoch(tmp_path: Path) -> None:
    recipe, _ = make_recipe(
        tmp_path, make_samples(tmp_path / "pictures", 4), settings=make_settings(epochs=3, patience=3)
    )
    seen: list[dict[str, torch.Tensor]] = []
    fitness = iter([0.2, 0.7, 0.4])

    def validate(model: torch.nn.Module) -> float:
        seen.append(tensors_of(model))
        with torch.no_grad():  # what validation does to the model must not reach training
            for parameter in model.parameters():
                parameter.zero_()
        return next(fitness)

    trained = train(recipe, tiny_model(), validate)
    assert trained.best_epoch == 2
    assert [record.fitness for record in trained.epochs] == [0.2, 0.7, 0.4]
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in trained.model.state_dict().items())


def test_train__of_equal_epochs_the_last(tmp_path: Path) -> None:
    recipe, _ = make_recipe(
        tmp_path, make_samples(tmp_path / "pictures", 4), settings=make_settings(epochs=2, patience=5)
    )
    assert train(recipe, tiny_model(), lambda _: 0.0).best_epoch == 2


@pytest.mark.parametrize("epoch", [0, 1], ids=["first-epoch", "later-epoch"])
def test_train__a_loss_that_is_no_number(epoch: int, tmp_path: Path) -> None:
    policies = (Failing(epoch, "nan"),)
    recipe, audience = make_recipe(tmp_path, make_samples(tmp_path / "pictures", 4), policies=policies)
    with pytest.raises(BadSpecError) as caught:
        train(recipe, tiny_model(), None)
    assert str(caught.value) == (
        f"spec.training: training diverged: in epoch {epoch + 1} the loss or a weight is not a finite number any more "
        "(learning rate 0.002). Give a smaller learningRate, or check the overrides."
    )
    assert len(audience.records) == epoch


def test_train__a_batch_that_never_fitted(tmp_path: Path) -> None:
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path / "pictures", 4), policies=(Failing(0, "memory"),))
    with pytest.raises(BadSpecError) as caught:
        train(recipe, tiny_model(), None)
    assert str(caught.value) == (
        "spec.training.batch: a batch of 4 images of 64 px does not fit into the memory of cpu. "
        "Give a smaller batch, such as 2."
    )


def test_train__a_batch_that_fitted_before(tmp_path: Path) -> None:
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path / "pictures", 4), policies=(Failing(1, "memory"),))
    with pytest.raises(ResumableError, match="It did before: run again"):
        train(recipe, tiny_model(), None)


class Criterion:
    """Stands for ultralytics': three classes, and a loss that is the sum of all scores, and 1."""

    nc, bce = 3, None

    def __call__(self, predictions: Any, _: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return torch.stack([predictions["scores"].sum(), torch.tensor(1.0)]), {"cls_loss": torch.tensor(2.0)}


def test_policy_loss__adds_a_term_whose_gradient_arrives() -> None:
    scores = torch.full((2, 3, 5), 0.5, requires_grad=True)
    batch = {"img": torch.zeros(2, 3, 8, 8), "cls": torch.zeros(0, 1)}

    loss, items = PolicyLoss(Criterion(), [QuietScores(3.0)], tiny_model(), YoloToolbox(IMAGE_SIZE, "cpu"))(
        {"scores": scores}, batch
    )
    term = 3.0 * scores.sigmoid().mean()
    assert torch.allclose(loss, scores.sum() + 1.0 + 2 * term)
    assert list(items) == ["cls_loss", "quiet"]
    (gradient,) = torch.autograd.grad(loss, scores)
    (own,) = torch.autograd.grad(2 * term, scores)
    assert torch.allclose(gradient - 1.0, own) and bool((own != 0).all())


def test_train__a_policy_s_loss_is_learned_from(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "pictures", 4)
    trained = {}
    for name, policies in {"with": (QuietScores(),), "without": ()}.items():
        recipe, _ = make_recipe(tmp_path / name, samples, policies=policies)
        trained[name] = train(recipe, tiny_model(), None)
    assert "quiet" in trained["with"].epochs[0].losses
    bias = {name: class_bias(result.model) for name, result in trained.items()}
    assert bias["with"] < bias["without"]


def class_bias(model: torch.nn.Module) -> float:
    """Mean bias of the class scores: how ready the model is to see anything at all."""
    convolutions = [last_convolution(level) for branch in class_branches(model) for level in branch]
    return float(sum(layer.bias.mean() for layer in convolutions if layer.bias is not None))
