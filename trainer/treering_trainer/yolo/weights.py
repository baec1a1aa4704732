"""Weights in and out: foreign checkpoints without running their code, our own models as safetensors.

A published model is `model.safetensors` plus `model.json` (architecture, classes in head order, head width); the `.pt`
beside it is for ultralytics users and never read back by Treering.
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
from ultralytics.nn.modules.head import Detect
from ultralytics.nn.tasks import DetectionModel, load_checkpoint, yaml_model_load
from ultralytics.utils import DEFAULT_CFG_DICT

from treering_api import BadSpecError
from treering_trainer.yolo.head import build, class_names, hidden_width

FIELD = "spec.model.base"


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


def load_foreign(path: Path, *, shown_as: str) -> DetectionModel:
    """Load an ultralytics checkpoint without running foreign code.

    Args:
        path: a local `.pt` file.
        shown_as: how the user named it, for messages.

    Raises:
        BadSpecError: the file is no checkpoint, holds foreign types, or is no detection model.
    """
    try:
        model, _ = load_checkpoint(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch, zip, pickle and ultralytics raise many kinds for a bad file
        raise BadSpecError(FIELD, *_explain(error, shown_as)) from error
    if type(getattr(model, "model", [None])[-1]) is not Detect:
        task = getattr(model, "task", type(model).__name__)
        raise BadSpecError(
            FIELD,
            f"{shown_as} holds a {task} model",
            "Treering grows YOLO detection models (ultralytics v8, v9, 11, 12, 26): give such a checkpoint.",
        )
    assert isinstance(model, DetectionModel)
    return model.float()


def load_official(name: str, folder: Path) -> DetectionModel:
    """Load weights that ultralytics publishes under `name`, such as `yolov8n.pt`, pulling them where need be.

    Raises:
        BadSpecError: they are neither in `folder` nor to be had over the network.
    """
    from ultralytics.utils.downloads import attempt_download_asset

    path = folder / name
    try:
        attempt_download_asset(path)
    except Exception as error:  # no network shows itself in many ways
        raise _not_to_be_had(name, _first_line(error)) from error
    if not path.exists():
        raise _not_to_be_had(name, "ultralytics has no such weights, or its network place can't be reached")
    return load_foreign(path, shown_as=name)


def from_scratch(architecture: str, names: tuple[str, ...], *, shown_as: str, seed: int) -> DetectionModel:
    """An untrained model from an architecture: a name such as `yolov8n.yaml`, or a local model YAML.

    Raises:
        BadSpecError: ultralytics knows no such architecture, or can't build it.
    """
    try:
        description = yaml_model_load(architecture)
    except FileNotFoundError as error:
        raise BadSpecError(
            FIELD,
            f"ultralytics {ultralytics_version} has no architecture {shown_as!r}",
            "Give one of its detection YAMLs, such as yolov8n.yaml or yolo11s.yaml, or the URI of a checkpoint.",
        ) from error
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build(description, names)
    except Exception as error:  # a wrong model YAML fails anywhere inside ultralytics' parser
        raise BadSpecError(
            FIELD,
            f"{shown_as} can't be built as a detection model ({type(error).__name__}: {_first_line(error)})",
            "Give a model YAML of ultralytics whose last layer is Detect.",
        ) from error


def save_model(model: DetectionModel, folder: Path, *, image_size: int, line: str, round_number: int) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, float32."""
    description = ModelDescription(
        architecture=copy.deepcopy(model.yaml),
        classes=class_names(model),
        head_width=hidden_width(model),
        image_size=image_size,
        line=line,
        round=round_number,
    )
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "treering": str(round_number)})
    (folder / "model.json").write_text(description.model_dump_json(indent=2) + "\n")


def load_model(folder: Path) -> DetectionModel:
    """Read what `save_model` wrote; every tensor is checked to be there and to fit."""
    description = ModelDescription.model_validate_json((folder / "model.json").read_text())
    model = build(description.architecture, description.classes, description.head_width)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return model.float().eval()


def save_ultralytics(model: DetectionModel, path: Path, *, image_size: int) -> None:
    """Write a checkpoint that `ultralytics.YOLO(path)` loads, float32, with nothing private in it."""
    plain = copy.deepcopy(model).float().cpu().eval()
    plain.criterion = None
    plain.args = {**DEFAULT_CFG_DICT, "imgsz": image_size, "task": "detect", "model": None, "data": None}
    plain.task = "detect"
    if hasattr(plain, "pt_path"):
        del plain.pt_path
    for parameter in plain.parameters():
        parameter.requires_grad = False
    checkpoint = {
        "epoch": -1,
        "model": plain,
        "ema": None,
        "train_args": plain.args,
        "date": datetime.now(UTC).isoformat(),
        "version": ultralytics_version,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)


def _not_to_be_had(name: str, why: str) -> BadSpecError:
    return BadSpecError(
        FIELD, f"the weights {name!r} can't be had ({why})", "Upload them to your store and give their URI here."
    )


def _explain(error: Exception, shown_as: str) -> tuple[str, str]:
    text = str(error)
    if "outside the supported" in text or "Unsupported global" in text:
        cause = error.__cause__ or error
        return (
            f"{shown_as} holds objects that are not plain ultralytics models, and loading them would run their code"
            f" ({_first_line(cause)})",
            "Give a checkpoint saved by ultralytics 8 or newer; original YOLOv5/YOLOv9 files must be converted first.",
        )
    return (
        f"{shown_as} is no checkpoint that can be read ({_first_line(error)})",
        "Give a .pt file saved by ultralytics, complete and unchanged.",
    )


def _first_line(error: BaseException) -> str:
    text = str(error).replace("ERROR ❌️ ", "").strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]
