"""Original YOLOv5 models (v6.0 to v7), which predict by anchors: run as they are, by their published formula.

Backbone and neck are those of ultralytics' `yolov5*.yaml`; the head is another than ultralytics', so such a model can't
be grown. It can teach: as a donor, as a member of a fused detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from ultralytics.nn.tasks import yaml_model_load

from treering_api import BadSpecError
from treering_trainer.foreign.model_file import ModelFile
from treering_trainer.policies.freeze import layers_of
from treering_trainer.yolo.burden import refuse_burden
from treering_trainer.yolo.head import build

SCALES: Mapping[int, tuple[float, float]] = {
    16: (0.33, 0.25),
    32: (0.33, 0.50),
    48: (0.67, 0.75),
    64: (1.00, 1.00),
    80: (1.33, 1.25),
}
"""Depth and width of n, s, m, l, x by the channels of the first convolution."""
ARCHITECTURES = {3: "yolov5n.yaml", 4: "yolov5n6.yaml"}
"""By detection levels."""
FIRST_STRIDE = 8
TENSORS, DESCRIPTION = "model.safetensors", "yolov5.json"


class Yolov5Description(BaseModel):
    """What a network is beside its tensors.

    Attributes:
        channels: of the first convolution: tells n, s, m, l and x apart.
        widths: channels that the head reads, by level; 3 levels, or 4 in the models for 1280 pixels.
        anchors: of each level.
        classes: names in head order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int
    widths: tuple[int, ...]
    anchors: int = Field(ge=1, le=16)
    classes: tuple[str, ...]

    @property
    def architecture(self) -> dict[str, Any]:
        """ultralytics' description of backbone and neck, with its own head in the place of the anchors'."""
        plain = yaml_model_load(ARCHITECTURES[len(self.widths)])
        scales = {"n": [*SCALES[self.channels], 1024]}
        return {**{key: value for key, value in plain.items() if key != "yaml_file"}, "scales": scales, "scale": "n"}

    def network(self) -> AnchorModel:
        """Untrained."""
        return AnchorModel(self)


class AnchorHead(nn.Module):
    """A 1x1 convolution per level, and boxes by anchors.

    Attributes:
        anchors: (levels, anchors, 2) width and height in cells of the level.
    """

    anchors: Tensor

    def __init__(self, classes: int, widths: Sequence[int], anchors: int) -> None:
        super().__init__()
        self.numbers = 5 + classes
        self.m = nn.ModuleList(nn.Conv2d(width, anchors * self.numbers, 1) for width in widths)
        self.register_buffer("anchors", torch.zeros(len(widths), anchors, 2))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """(images, 4 + classes, anchors of all levels): x, y, width, height in pixels, objectness times class score."""
        found = []
        for level, (seen, convolution) in enumerate(zip(features, self.m, strict=True)):
            stride = FIRST_STRIDE * 2**level
            images, _, rows, columns = seen.shape
            said = convolution(seen).view(images, -1, self.numbers, rows, columns).sigmoid()
            across = torch.arange(columns, device=seen.device, dtype=seen.dtype)[None, :].expand(rows, columns)
            down = torch.arange(rows, device=seen.device, dtype=seen.dtype)[:, None].expand(rows, columns)
            cells = torch.stack([across, down])[None, None]
            centres = (2 * said[:, :, :2] - 0.5 + cells) * stride
            sides = (2 * said[:, :, 2:4]) ** 2 * (self.anchors[level] * stride)[None, :, :, None, None]
            scores = said[:, :, 4:5] * said[:, :, 5:]
            boxes = torch.cat([centres, sides, scores], dim=2)
            found.append(boxes.permute(0, 2, 1, 3, 4).flatten(2))
        return torch.cat(found, dim=2)


class AnchorModel(nn.Module):
    """The whole network; it answers as ultralytics' detection models do, so that their suppression takes it.

    Args:
        description: says all that there is to say.

    Attributes:
        names: class names by index.
        stride: pixels a cell of each level, (levels,).
    """

    stride: Tensor

    def __init__(self, description: Yolov5Description) -> None:
        super().__init__()
        layers: Any = layers_of(build(description.architecture, description.classes))
        head = AnchorHead(len(description.classes), description.widths, description.anchors)
        self.model = nn.Sequential(*layers[:-1], head)
        self.sources: list[Any] = [layer.f for layer in layers]
        self.description = description
        self.names = dict(enumerate(description.classes))
        self.yaml = description.architecture
        self.task = "detect"
        self.end2end = False
        strides = [float(FIRST_STRIDE * 2**level) for level in range(len(head.m))]
        self.register_buffer("stride", torch.tensor(strides), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(images, 4 + classes, anchors) of (images, 3, height, width), 0..1."""
        seen: list[Any] = []
        found: Any = images
        for layer, source in zip(self.model, self.sources, strict=True):
            if isinstance(source, list):
                found = [found if place == -1 else seen[place] for place in source]
            elif source != -1:
                found = seen[source]
            found = layer(found)
            seen.append(found)
        assert isinstance(found, Tensor)
        return found


def build_yolov5(file: ModelFile, tensors: Mapping[str, Tensor], *, shown_as: str, field: str) -> AnchorModel:
    """The network of a recognised file, in evaluation mode, float32.

    Args:
        tensors: as `foreign` reads them; every one has to fit.

    Raises:
        BadSpecError: it is an older or another model with anchors.
    """
    try:
        return _build(
            file, {name: value.float() for name, value in tensors.items() if not name.endswith("anchor_grid")}
        )
    except Exception as error:  # torch tells of a tensor that is missing or of another shape in many ways
        lines = str(error).splitlines() or [type(error).__name__]
        raise BadSpecError(
            field,
            f"{shown_as} is a YOLO model with anchors, but no YOLOv5 of v6.0 to v7 ({lines[-1].strip()[:160]})",
            "Give a detection model of YOLOv5 v6.0 or newer, or one of the ultralytics package.",
        ) from error


def _build(file: ModelFile, tensors: Mapping[str, Tensor]) -> AnchorModel:
    name = next(name for name in tensors if name.endswith(".anchors"))
    head, anchors = name.removesuffix("anchors"), tensors[name]
    widths = [int(tensors[f"{head}m.{level}.weight"].shape[1]) for level in range(len(anchors))]
    numbers = tensors[f"{head}m.0.weight"].shape[0] // anchors.shape[1]
    names = file.classes or tuple(map(str, range(numbers - 5)))
    if len(names) != numbers - 5:
        raise ValueError(f"{len(names)} class names for {numbers - 5} classes")
    description = Yolov5Description(
        channels=tensors["model.0.conv.weight"].shape[0], widths=tuple(widths), anchors=anchors.shape[1], classes=names
    )
    refuse_burden(description.architecture, len(names), sum(tensor.numel() for tensor in tensors.values()))
    model = description.network()
    model.load_state_dict(dict(tensors), strict=True)
    return model.float().eval()


def save_yolov5(model: AnchorModel, folder: Path) -> None:
    """Write tensors and description into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / TENSORS)
    (folder / DESCRIPTION).write_text(model.description.model_dump_json(indent=2) + "\n")


def load_yolov5(folder: Path) -> AnchorModel:
    """Read what `save_yolov5` wrote; every tensor has to fit."""
    model = Yolov5Description.model_validate_json((folder / DESCRIPTION).read_bytes()).network()
    model.load_state_dict(load_file(folder / TENSORS), strict=True)
    return model.float().eval()
