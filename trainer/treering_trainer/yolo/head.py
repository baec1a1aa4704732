"""Growing a detection head: new classes get rows of their own, old classes keep theirs, found by name.

ultralytics' own remapping (`cls_remap`, PR #25051) skips names that are numbers and ignores case; a line's classes are
what their names say, so rows are matched by the exact name. The hidden width of the class branch is kept as it is:
ultralytics derives it from the class count (`max(ch, min(nc, 100))`), and rebuilding it would throw the branch away.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from ultralytics.nn.modules.head import Detect
from ultralytics.nn.tasks import DetectionModel

CLASS_BRANCHES = ("cv3", "one2one_cv3")
NEW_ROW_STD = 0.01


def head_of(model: DetectionModel) -> Detect:
    """The model's detection head."""
    head = model.model[-1]
    assert isinstance(head, Detect)
    return head


def class_names(model: DetectionModel) -> tuple[str, ...]:
    """Class names in head order."""
    return tuple(str(model.names[index]) for index in sorted(model.names))


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
    for branch in class_branches(head):
        for level, layers in enumerate(branch):
            layers[-1] = _grow_convolution(layers[-1], rows, prior=_prior(head, level, len(names)), generator=generator)
    head.nc = len(names)
    head.no = head.nc + 4 * head.reg_max
    head.shape = None  # cached anchors belong to the old output
    model.nc = head.nc
    model.names = dict(enumerate(names))
    model.yaml = {**model.yaml, "nc": head.nc}
    model.criterion = None
    return model


def class_branches(head: Detect) -> Iterator[nn.ModuleList]:
    """The head's class branches, one or two, each a list of layers per detection level."""
    for name in CLASS_BRANCHES:
        branch = getattr(head, name, None)
        if branch is not None:
            yield branch


def hidden_width(model: DetectionModel) -> int:
    """Channels of the class branches' hidden layers."""
    return int(head_of(model).cv3[0][-1].in_channels)


def build(architecture: dict[str, object], names: Sequence[str], width: int | None = None) -> DetectionModel:
    """An untrained model of `architecture` for `names`, with class branches of `width` hidden channels."""
    model = DetectionModel(copy.deepcopy(architecture), nc=len(names), verbose=False)
    if width is not None and hidden_width(model) != width:
        model = DetectionModel(copy.deepcopy(architecture), nc=width, verbose=False)
        assert hidden_width(model) == width
        model.names = dict(enumerate(f"\0{index}" for index in range(width)))  # match no class
        return grow_head(model, names, seed=0)
    model.names = dict(enumerate(names))
    return model


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
