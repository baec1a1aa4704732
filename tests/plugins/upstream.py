"""Checkpoints as the original YOLOv9 and YOLOv5 write them: pickles of whole modules whose classes are nowhere here.

Networks of our own are given the originals' class names for as long as it takes to pickle them.
"""

from __future__ import annotations

import argparse
import copy
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from treering_trainer.foreign.yolov9 import LAYOUTS, Layout
from treering_trainer.yolo.yolov5 import AnchorHead, AnchorModel, Yolov5Description
from treering_trainer.yolo.yolov9 import OriginalModel, build_original

RENAMED = {"RepConv": "RepConvN", "RepCSP": "RepNCSP", "RepBottleneck": "RepNBottleneck"}
PRIVATE = "/home/somebody/secret/data.yaml"


def layout(size: str, *, dual: bool = True) -> Layout:
    """The layout of a size."""
    return next(each for each in LAYOUTS if (each.size, each.dual) == (size, dual))


def lively_original(shape: Layout, names: Sequence[str], *, seed: int = 1) -> OriginalModel:
    """An untrained original whose BatchNorms are not neutral and whose scores are not all alike."""
    model = build_original(shape, names, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                _stir(module, generator)
                module.weight.uniform_(0.8, 1.2, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return model


def _stir(module: nn.BatchNorm2d, generator: torch.Generator) -> None:
    assert module.running_mean is not None and module.running_var is not None
    module.running_mean.normal_(0, 0.1, generator=generator)
    module.running_var.uniform_(0.5, 1.5, generator=generator)


def save_upstream(model: OriginalModel, path: Path, *, half: bool = True, ema: bool = False) -> None:
    """Write a training checkpoint: fp16, arguments with private paths, an optimizer, and an average if asked for."""
    with stand_ins() as borrow:
        saved = borrow(model)
        saved = saved.half() if half else saved
        other = borrow(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1.0)
        torch.save(
            {
                "epoch": 7,
                "best_fitness": 0.5,
                "model": other if ema else saved,
                "ema": saved if ema else None,
                "updates": 3,
                "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(10)}}, "param_groups": []},
                "opt": argparse.Namespace(data=PRIVATE, weights="", epochs=3),
                "git": {"remote": "git@example.org:me/yolov9.git", "branch": "main"},
                "date": "2026-11-25",
            },
            path,
        )


class _Detect(nn.Module):
    """A YOLOv5 head: three 1x1 convolutions and anchors."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.nc = classes
        self.m = nn.ModuleList(nn.Conv2d(channels, 3 * (5 + classes), 1) for _ in range(3))
        self.register_buffer("anchors", torch.rand(3, 3, 2))


class _Model(nn.Module):
    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Sequential(), _Detect(16, len(names)))
        self.model[0].conv = nn.Conv2d(3, 16, 6, 2, 2, bias=False)
        self.names = list(names)
        self.yaml = {"nc": len(names), "depth_multiple": 0.33, "width_multiple": 0.25}


def lively_yolov5(names: Sequence[str], *, levels: int = 3, seed: int = 1) -> AnchorModel:
    """An untrained original YOLOv5n that is sure of something here and there."""
    torch.manual_seed(seed)
    widths = (64, 128, 256) if levels == 3 else (64, 128, 192, 256)
    model = Yolov5Description(channels=16, widths=widths, anchors=3, classes=tuple(names)).network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                _stir(module, generator)
            if isinstance(module, AnchorHead):
                module.anchors.uniform_(1, 4, generator=generator)
    return model.eval()


def save_whole_yolov5(model: AnchorModel, path: Path) -> None:
    """Write it as YOLOv5's training does once it has ended: fp16, no optimizer."""
    with stand_ins() as borrow:
        saved = borrow(model)
        saved.names, saved.yaml = [*model.names.values()], {"nc": len(model.names)}
        for name in ("description", "sources", "task", "end2end"):
            delattr(saved, name)
        torch.save({"epoch": -1, "model": saved.half(), "ema": None, "optimizer": None}, path)


def save_yolov5(path: Path, names: Sequence[str]) -> None:
    """Write what has the tensors that tell an original YOLOv5n."""
    with stand_ins() as borrow:
        torch.save({"epoch": -1, "model": borrow(_Model(names)), "ema": None, "optimizer": None}, path)


@contextmanager
def stand_ins() -> Iterator[Any]:
    """Gives a function that copies a network with its classes named as in the originals' code; then they are gone."""
    modules = {name: types.ModuleType(name) for name in ("models", "models.common", "models.yolo")}
    made: dict[str, type] = {}

    def borrow(model: nn.Module) -> nn.Module:
        copied = copy.deepcopy(model)
        for module in copied.modules():
            kind = type(module)
            if kind.__module__.startswith(("ultralytics", "treering", "tests", "upstream")):
                module.__class__ = _stand_in(module, modules, made)
        return copied

    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield borrow
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _stand_in(module: nn.Module, modules: dict[str, types.ModuleType], made: dict[str, type]) -> type:
    name = type(module).__name__
    place = "models.common"
    if name in ("OriginalModel", "AnchorModel", "_Model"):
        place, name = "models.yolo", "DetectionModel" if name == "OriginalModel" else "Model"
    elif name in ("OriginalHead", "AnchorHead", "_Detect"):
        place = "models.yolo"
        name = "Detect" if name in ("AnchorHead", "_Detect") else "DualDDetect" if hasattr(module, "cv4") else "DDetect"
    name = RENAMED.get(name, name)
    if name not in made:
        made[name] = type(name, (nn.Module,), {"__module__": place})
        vars(modules[place])[name] = made[name]
    return made[name]
