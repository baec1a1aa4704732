"""The original YOLOv9 as a network that runs: main and auxiliary branch, grouped box branches and all.

Every block but the head is ultralytics' own, whose tensors have the original's names. What the head computes is written
down from its definition (Wang, Yeh, Liao: YOLOv9, arXiv 2402.13616; distances as in generalised focal loss).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules import (
    ELAN1,
    SPPELAN,
    AConv,
    ADown,
    CBFuse,
    CBLinear,
    Concat,
    Conv,
    RepNCSPELAN4,
)
from ultralytics.nn.modules.block import DFL
from ultralytics.nn.tasks import BaseModel
from ultralytics.utils.ops import make_divisible
from ultralytics.utils.tal import dist2bbox, make_anchors
from ultralytics.utils.torch_utils import initialize_weights

from treering_trainer.foreign.yolov9 import GROUPS, Layout
from treering_trainer.yolo.yolov9.table import Row, original_rows

REG_MAX = 16
STRIDES = (8.0, 16.0, 32.0)
_BLOCKS: dict[str, Any] = {
    "Conv": Conv,
    "ELAN1": ELAN1,
    "RepNCSPELAN4": RepNCSPELAN4,
    "AConv": AConv,
    "ADown": ADown,
    "SPPELAN": SPPELAN,
}


class OriginalHead(nn.Module):
    """The original's head: one set of branches, or an auxiliary one before the main one.

    Args:
        channels: of the layers read, three or six, the auxiliary ones first.
        widths: hidden channels of the class branches, as many as there are sets.
    """

    end2end = False

    def __init__(self, classes: int, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.nc = classes
        self.dual = len(channels) == 2 * len(STRIDES)
        self.stride = torch.tensor(STRIDES)
        first, second = channels[: len(STRIDES)], channels[len(STRIDES) :]
        self.cv2, self.cv3, self.dfl = _box_branches(first), _class_branches(first, widths[0], classes), DFL(REG_MAX)
        if self.dual:
            self.cv4, self.cv5 = _box_branches(second), _class_branches(second, widths[1], classes)
            self.dfl2 = DFL(REG_MAX)

    def forward(self, levels: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The main output and the auxiliary one, each (batch, 4 + classes, anchors): centre, size in pixels, scores."""
        first = self._decode(levels[: len(STRIDES)], self.cv2, self.cv3, self.dfl)
        if not self.dual:
            return first, None
        return self._decode(levels[len(STRIDES) :], self.cv4, self.cv5, self.dfl2), first

    def _decode(self, levels: list[torch.Tensor], boxes: Any, scores: Any, dfl: nn.Module) -> torch.Tensor:
        distances = torch.cat([box(x).flatten(2) for box, x in zip(boxes, levels, strict=True)], 2)
        logits = torch.cat([score(x).flatten(2) for score, x in zip(scores, levels, strict=True)], 2)
        anchors, strides = (each.transpose(0, 1) for each in make_anchors(levels, self.stride, 0.5))
        decoded = dist2bbox(dfl(distances), anchors.unsqueeze(0), xywh=True, dim=1) * strides
        return torch.cat((decoded, logits.sigmoid()), 1)


class OriginalModel(BaseModel):
    """An original YOLOv9, dual or plain; `forward` gives (main, auxiliary).

    Its state has the names of an original checkpoint. It validates as ultralytics' models do, and does not train.
    """

    def __init__(self, layout: Layout, names: Sequence[str], widths: Sequence[int] = ()) -> None:
        super().__init__()
        rows, read = original_rows(layout)
        layers, channels = _layers(rows)
        seen = [channels[index] for index in read]
        head = OriginalHead(len(names), seen, widths or [_width(first, len(names)) for first in seen[:: len(STRIDES)]])
        self.model = nn.Sequential(*layers, _placed(head, read, len(rows)))
        sources = {source % (index or 1) for index, row in enumerate(rows) for source in row.sources if source != -1}
        self.save = sorted(sources | set(read))
        self.stride = head.stride
        self.names = dict(enumerate(names))
        self.nc = len(names)
        self.yaml = {"channels": 3, "nc": len(names)}
        self.task = "detect"
        initialize_weights(self)  # sets epsilon and momentum of every BatchNorm, which are no tensors


def build_original(layout: Layout, names: Sequence[str], widths: Sequence[int] = (), *, seed: int = 0) -> OriginalModel:
    """An untrained original model in evaluation mode; without `widths`, its class branches have upstream's."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return OriginalModel(layout, names, widths).eval()


def _layers(rows: Sequence[Row]) -> tuple[list[nn.Module], list[int]]:
    """The layers and their output channels; 3 channels come in."""
    layers: list[nn.Module] = []
    channels: list[int] = []
    for index, row in enumerate(rows):
        inputs = [channels[source] if channels else 3 for source in row.sources]
        layer, out = _layer(row, inputs)
        layers.append(_placed(layer, row.sources, index))
        channels.append(out)
    return layers, channels


def _layer(row: Row, inputs: list[int]) -> tuple[nn.Module, int]:
    if row.kind in ("Silence", "nn.Identity"):
        return nn.Identity(), inputs[0]
    if row.kind == "nn.Upsample":
        return nn.Upsample(*row.args), inputs[0]
    if row.kind == "Concat":
        return Concat(*row.args), sum(inputs)
    if row.kind == "CBLinear":
        return CBLinear(inputs[0], list(row.args[0])), sum(row.args[0])
    if row.kind == "CBFuse":
        return CBFuse(list(row.args[0])), inputs[-1]
    out = make_divisible(row.args[0], 8)  # as both code bases round the tables' channels: 180 of size m are 184
    return _BLOCKS[row.kind](inputs[0], out, *row.args[1:]), out


def _placed(layer: nn.Module, sources: tuple[int, ...], index: int) -> nn.Module:
    """ultralytics' forward pass reads from each layer where it stands and whose output it takes."""
    plain: Any = layer
    plain.i, plain.f = index, sources[0] if len(sources) == 1 else list(sources)
    return layer


def _box_branches(channels: Sequence[int]) -> nn.ModuleList:
    width = max(channels[0] // 4, 4 * REG_MAX)
    width += -width % GROUPS
    return nn.ModuleList(
        nn.Sequential(
            Conv(each, width, 3), Conv(width, width, 3, g=GROUPS), nn.Conv2d(width, 4 * REG_MAX, 1, groups=GROUPS)
        )
        for each in channels
    )


def _width(channels: int, classes: int) -> int:
    """Hidden channels of the original's class branch; ultralytics' differ from 33 classes on in the smallest size."""
    return max(channels, min(2 * classes, 128))


def _class_branches(channels: Sequence[int], width: int, classes: int) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(Conv(each, width, 3), Conv(width, width, 3), nn.Conv2d(width, classes, 1)) for each in channels
    )
