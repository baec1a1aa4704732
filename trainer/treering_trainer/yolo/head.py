"""Growing a detection head: new classes get rows of their own, old classes keep theirs, found by name.

ultralytics' own remapping (`cls_remap`, PR #25051) skips names that are numbers and ignores case; a line's classes are
what their names say, so rows are matched by the exact name. The hidden width of the class branch is kept as it is:
ultralytics derives it from the class count (`max(ch, min(nc, 100))`), and rebuilding it would throw the branch away.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules import Conv
from ultralytics.nn.modules.head import Detect
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import initialize_weights

from treering_trainer.yolo.parts import (
    class_branches,
    class_names,
    head_of,
    hidden_width,
    last_convolution,
    set_classes,
)

NEW_ROW_STD = 0.01


def grow_head(source: DetectionModel, names: Sequence[str], *, seed: int) -> DetectionModel:
    """A copy of `source` that detects `names`, in that order.

    A class that `source` knows under the same name keeps its weights bit for bit, wherever it stands; every other one
    starts from small random weights and the prior of `Detect.bias_init`.

    Args:
        names: all classes of the grown model, distinct.
        seed: of the new rows.
    """
    model = copy.deepcopy(source)
    head = head_of(model)
    old = {name: index for index, name in enumerate(class_names(source))}
    rows = [old.get(name, -1) for name in names]
    generator = torch.Generator().manual_seed(seed)
    for branch in class_branches(model):
        for level, layers in enumerate(branch):
            assert isinstance(layers, nn.Sequential)
            prior = _prior(head, level, len(names))
            layers[-1] = _grow_convolution(last_convolution(layers), rows, prior=prior, generator=generator)
    head.nc = len(names)
    head.no = head.nc + 4 * head.reg_max
    head.shape = None  # cached anchors belong to the old output
    set_classes(model, names)
    forget_training(model)
    return model


def build(architecture: Mapping[str, Any], names: Sequence[str], width: int | None = None) -> DetectionModel:
    """An untrained model of `architecture` for `names`, with class branches of `width` hidden channels.

    Raises:
        ValueError: no class count gives the architecture branches of that width.
    """
    model = _build(architecture, len(names))
    if width is not None and hidden_width(model) != width:
        wide = _build(architecture, width)  # the width follows the class count up to 100, so this many give it
        if hidden_width(wide) == width:
            set_classes(wide, [f"\0{index}" for index in range(width)])  # match no class
            return grow_head(wide, names, seed=0)
        _widen(model, width)
    set_classes(model, names)
    return model


def _widen(model: DetectionModel, width: int) -> None:
    """Untrained class branches of more channels than ultralytics ever gives them; original YOLOv9 heads have up to 128.

    Raises:
        ValueError: the width is less than the natural one, or the branches are not of plain convolutions.
    """
    head = head_of(model)
    for branch in class_branches(model):
        for level, layers in enumerate(branch):
            assert isinstance(layers, nn.Sequential)
            plain = type(layers[0]) is Conv and type(layers[1]) is Conv and len(layers) == 3
            if not plain or width < hidden_width(model):
                raise ValueError(f"class branches can't be {width} channels wide, only {hidden_width(model)}")
            first: Any = layers[0]
            inputs = first.conv.in_channels
            branch[level] = nn.Sequential(Conv(inputs, width, 3), Conv(width, width, 3), nn.Conv2d(width, head.nc, 1))
    head.bias_init()
    initialize_weights(model)  # epsilon and momentum of the new BatchNorms


def forget_training(model: DetectionModel) -> None:
    """Drop what only a running training needs."""
    plain: Any = model
    plain.criterion = None


def _build(architecture: Mapping[str, Any], classes: int) -> DetectionModel:
    return DetectionModel(copy.deepcopy(dict(architecture)), nc=classes, verbose=False)


def _grow_convolution(source: nn.Conv2d, rows: list[int], *, prior: float, generator: torch.Generator) -> nn.Conv2d:
    grown = nn.Conv2d(source.in_channels, len(rows), 1)
    assert source.bias is not None and grown.bias is not None
    with torch.no_grad():
        grown.weight.normal_(0.0, NEW_ROW_STD, generator=generator)
        grown.bias.fill_(prior)
        for new, old in enumerate(rows):
            if old >= 0:
                grown.weight[new] = source.weight[old].float()
                grown.bias[new] = source.bias[old].float()
    return grown.to(source.weight.device)


def _prior(head: Detect, level: int, classes: int) -> float:
    # About 5 objects in a 640 px image, as in ultralytics' Detect.bias_init
    return math.log(5 / classes / (640 / float(head.stride[level])) ** 2)
