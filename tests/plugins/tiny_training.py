"""A network of eleven small layers, pictures of bright rectangles, and recipes that train one on the other fast."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from treering_api import ResolvedTraining
from treering_trainer.dataset import Sample
from treering_trainer.engine.recipe import Listener, Recipe
from treering_trainer.engine.stop import StopRequest
from treering_trainer.policies.interface import Policy
from treering_trainer.records import EpochRecord
from treering_trainer.yolo.head import build
from treering_trainer.yolo.parts import class_branches, head_of, last_convolution
from treering_trainer.yolo.types import DetectionModel

IMAGE_SIZE = 64
ARCHITECTURE: dict[str, Any] = {
    "nc": 3,
    "scales": {"n": [0.33, 0.0625, 256]},
    "scale": "n",
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "C2f", [128, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 1, "C2f", [256, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 1, "SPPF", [256, 5]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "C2f", [256]],
        [[9, 6], 1, "Detect", ["nc"]],
    ],
}
WIDE: dict[str, Any] = {**ARCHITECTURE, "scales": {"n": [0.33, 0.25, 256]}}
"""The same with 64 channels before the head, as in models of size n: from 65 classes on, its width follows them."""
TWO_BRANCHES: dict[str, Any] = {**ARCHITECTURE, "end2end": True, "reg_max": 1}
"""The same with a head as in YOLO26."""


class Killed(BaseException):
    """Ends a training as the kernel would: nothing of Treering catches it."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, and no fight for the processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_model(
    names: Sequence[str] = ("a", "b", "c"), *, architecture: dict[str, Any] = ARCHITECTURE, seed: int = 0
) -> DetectionModel:
    """An untrained network with BatchNorm statistics that are not the neutral ones."""
    torch.manual_seed(seed)
    model = build(architecture, tuple(names))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def seeing_model(
    names: Sequence[str] = ("a", "b", "c"), *, architecture: dict[str, Any] = ARCHITECTURE
) -> DetectionModel:
    """An untrained network that is nevertheless sure of something here and there, in boxes of two cells."""
    model = tiny_model(names, architecture=architecture, seed=3)
    head = head_of(model)
    assert isinstance(head.cv2, torch.nn.ModuleList)
    with torch.no_grad():
        for scores in (last_convolution(level) for branch in class_branches(model) for level in branch):
            assert scores.bias is not None
            scores.bias.fill_(0.0)
            scores.weight.mul_(8.0)
        for sides in (last_convolution(level) for level in head.cv2):
            assert sides.bias is not None
            if head.reg_max > 1:  # else the distance itself, and it starts as 2
                sides.bias.view(4, -1)[:, 1] = 6.0  # of 16 distances from the centre
    return model


def make_samples(
    folder: Path, count: int, *, classes: int = 3, size: tuple[int, int] = (IMAGE_SIZE, IMAGE_SIZE), seed: int = 0
) -> tuple[Sample, ...]:
    """Pictures of `size` (width, height) with two bright rectangles each; the class is the rectangle's colour."""
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(seed)
    return tuple(_make_sample(folder / f"{seed}-{index:02d}.png", source, classes, size) for index in range(count))


def _make_sample(path: Path, source: np.random.Generator, classes: int, size: tuple[int, int]) -> Sample:
    width, height = size
    pixels = source.integers(0, 60, (height, width, 3), dtype=np.uint8)
    rows = []
    for _ in range(2):
        box_width, box_height = (int(value) for value in source.integers(14, 28, 2))
        left, top = int(source.integers(0, width - box_width)), int(source.integers(0, height - box_height))
        kind = int(source.integers(classes))
        pixels[top : top + box_height, left : left + box_width, kind % 3] = 255
        rows.append(
            (
                kind,
                (left + box_width / 2) / width,
                (top + box_height / 2) / height,
                box_width / width,
                box_height / height,
            )
        )
    Image.fromarray(pixels).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Sample(path.stem, path, np.asarray(rows, dtype=np.float64), width, height, digest, 0)


def make_settings(
    *,
    epochs: int = 2,
    batch: int = 4,
    patience: int = 0,
    optimizer: Literal["AdamW", "Adam", "SGD"] = "AdamW",
    overrides: dict[str, bool | int | float | str] | None = None,
) -> ResolvedTraining:
    """Settings without any "auto"; warm-up ends in the middle of the second epoch."""
    return ResolvedTraining(
        epochs=epochs,
        batch=batch,
        learning_rate=2e-3,
        final_learning_rate_share=0.01,
        warmup_epochs=1.5,
        cosine=False,
        patience=patience,
        optimizer=optimizer,
        optimizer_state="fresh",
        precision="fp32",
        seed=5,
        workers=0,
        overrides={"close_mosaic": 0} if overrides is None else overrides,
    )


class Audience:
    """A listener that remembers, and that ends the training where it is told to."""

    def __init__(self, stop: StopRequest, *, stop_at: int | None = None, kill_at: int | None = None) -> None:
        self.stop = stop
        self.stop_at = stop_at
        self.kill_at = kill_at
        self.passes: list[tuple[int, int]] = []
        self.records: list[EpochRecord] = []

    def listener(self) -> Listener:
        """What the recipe wants."""
        return Listener(batch=self.hear_batch, epoch=self.records.append)

    def hear_batch(self, done: int, total: int) -> None:
        """Stop or kill after that many batches of this process."""
        self.passes.append((done, total))
        if len(self.passes) == self.stop_at:
            self.stop.request("SIGTERM")
        if len(self.passes) == self.kill_at:
            raise Killed


def make_recipe(
    folder: Path,
    new: tuple[Sample, ...],
    memory: tuple[Sample, ...] = (),
    *,
    settings: ResolvedTraining | None = None,
    policies: tuple[Policy, ...] = (),
    batch_share: float | None = None,
    repeats: tuple[float, ...] = (),
    names: tuple[str, ...] = ("a", "b", "c"),
    stop_at: int | None = None,
    kill_at: int | None = None,
) -> tuple[Recipe, Audience]:
    """A recipe and who hears of its training."""
    stop = StopRequest()
    audience = Audience(stop, stop_at=stop_at, kill_at=kill_at)
    recipe = Recipe(
        names=names,
        new=new,
        memory=memory,
        batch_share=batch_share,
        settings=settings or make_settings(),
        image_size=IMAGE_SIZE,
        device="cpu",
        folder=folder,
        policies=policies,
        listener=audience.listener(),
        stop=stop,
        repeats=repeats,
    )
    return recipe, audience


def tensors_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of everything that makes the model what it is."""
    return copy.deepcopy(model.state_dict())


def differing(left: Mapping[str, torch.Tensor], right: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that are not bit-equal."""
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]
