"""A line's own models in and out: `model.safetensors` plus `model.json`.

The description holds architecture, classes in head order and head width. The `.pt` beside them is for ultralytics users
and never read back by Treering.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from ultralytics import __version__ as ultralytics_version
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG_DICT

from treering_trainer.yolo.foreign import from_scratch, load_foreign, load_official
from treering_trainer.yolo.head import build, forget_training
from treering_trainer.yolo.parts import architecture_of, class_names, hidden_width, set_classes

__all__ = [
    "ModelDescription",
    "from_scratch",
    "load_foreign",
    "load_model",
    "load_official",
    "save_model",
    "save_ultralytics",
]


class ModelDescription(BaseModel):
    """Everything beside the tensors that a model is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    architecture: dict[str, Any] = Field(description="ultralytics' model YAML, with its scale")
    classes: tuple[str, ...]
    head_width: int = Field(description="channels of the class branches' hidden layers")
    image_size: int = Field(description="pixels")
    line: str = ""
    round: int = 0
    ultralytics_version: str = ultralytics_version


def save_model(model: DetectionModel, folder: Path, *, image_size: int, line: str, round_number: int) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, float32."""
    description = ModelDescription(
        architecture=copy.deepcopy(architecture_of(model)),
        classes=class_names(model),
        head_width=hidden_width(model),
        image_size=image_size,
        line=line,
        round=round_number,
    )
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _plain(tensor) for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "treering": str(round_number)})
    (folder / "model.json").write_text(description.model_dump_json(indent=2) + "\n")


def load_model(folder: Path) -> DetectionModel:
    """Read what `save_model` wrote; every tensor is checked to be there and to fit."""
    description = ModelDescription.model_validate_json((folder / "model.json").read_text())
    model = build(description.architecture, description.classes, description.head_width)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return model.float().eval()


def save_ultralytics(model: DetectionModel, path: Path, *, image_size: int, half: bool = False) -> None:
    """Write a checkpoint that `ultralytics.YOLO(path)` loads, float32 or `half` of it, with nothing private in it."""
    bare = _bare(model, image_size)
    checkpoint = {
        "epoch": -1,
        "model": bare.half() if half else bare,
        "ema": None,
        "train_args": _training_arguments(image_size),
        "date": datetime.now(UTC).isoformat(),
        "version": ultralytics_version,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)


def _bare(model: DetectionModel, image_size: int) -> DetectionModel:
    bare = copy.deepcopy(model).float().cpu().eval()
    forget_training(bare)
    set_classes(bare, class_names(model))  # drops the place of the file that the architecture came from
    plain: Any = bare
    plain.args = _training_arguments(image_size)
    plain.task = "detect"
    if hasattr(plain, "pt_path"):
        del plain.pt_path
    for parameter in bare.parameters():
        parameter.requires_grad = False
    return bare


def _training_arguments(image_size: int) -> dict[str, Any]:
    return {**DEFAULT_CFG_DICT, "imgsz": image_size, "task": "detect", "model": None, "data": None}


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor
