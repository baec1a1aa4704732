"""Models from outside, which nobody vouches for: checkpoints and architectures, without running anything in them.

Nothing of a foreign checkpoint is kept but its architecture (data), its class names and its tensors, which the package
`foreign` reads in a process of its own: the model is built anew by ultralytics and the tensors must fit it exactly, so
that it can be published and loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from ultralytics import __version__ as ultralytics_version
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from treering_api import IMAGE_SIZES, BadSpecError
from treering_trainer.foreign.model_file import ModelFile
from treering_trainer.foreign.reading import FIELD, opened
from treering_trainer.foreign.recognition import recognise
from treering_trainer.foreign.yolov9 import Layout, class_count, head_widths
from treering_trainer.policies.freeze import layers_of
from treering_trainer.yolo.burden import refuse_burden
from treering_trainer.yolo.head import build
from treering_trainer.yolo.parts import CLASS_BRANCHES, is_detection_head
from treering_trainer.yolo.yolov9 import deploy_tensors

KINDS = "Treering grows YOLO detection models of ultralytics (v8, v9, v10, 11, 12, 26): give such a checkpoint."
HEADS = ("Detect", "v10Detect")
IMAGE_SIZE = 640
"""Pixels that a model was trained with, where it does not say; ultralytics' default."""


def load_foreign(path: Path, *, shown_as: str, field: str = FIELD) -> DetectionModel:
    """Load a checkpoint without running foreign code; an original YOLOv9 is converted on the way.

    Args:
        path: a local model file.
        shown_as: how the user named it, for messages.
        field: what names it, for messages.

    Raises:
        BadSpecError: the file is no checkpoint, holds foreign types, or is no detection model that can be grown.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    with opened(path, shown_as=shown_as, field=field) as (file, tensors):
        return as_detection_model(file, load_file(tensors), shown_as=shown_as, field=field)


def as_detection_model(
    file: ModelFile, tensors: Mapping[str, torch.Tensor], *, shown_as: str, field: str = FIELD
) -> DetectionModel:
    """ultralytics' model of what a file holds, in float32.

    Raises:
        BadSpecError: there is none.
    """
    found = recognise(file)
    full = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    if found.layout is not None:
        return _converted(found.layout, found.classes, file, full, shown_as, field)
    if found.family in ("yolov5", "original"):
        raise BadSpecError(
            field,
            f"{shown_as} was saved by the original YOLOv5, v7 or v9 code (it holds a {file.saved_as})",
            "Of these only YOLOv9 detection models can be grown; give a checkpoint of the ultralytics package, such as "
            "yolov5nu.pt in place of yolov5n.pt. YOLOv5 can be merged in: list it in spec.model.donors.",
        )
    if found.family != "ultralytics":
        raise BadSpecError(field, f"{shown_as} holds {found.label}", KINDS)
    _refuse_other_tasks(file, shown_as, field)
    return _rebuild(file, full, shown_as, field)


def trained_image_size(file: ModelFile) -> int:
    """Side of the input that a model was trained with, pixels; 640 where it does not say."""
    arguments: Any = file.attributes.get("args")
    size = arguments.get("imgsz") if isinstance(arguments, dict) else None
    return size if isinstance(size, int) and size in IMAGE_SIZES else IMAGE_SIZE


def load_official(name: str, folder: Path) -> DetectionModel:
    """Load weights that ultralytics publishes under `name`, such as `yolov8n.pt`, pulling them where need be.

    Raises:
        BadSpecError: they are neither in `folder` nor to be had over the network.
    """
    return load_foreign(fetch_official(name, folder), shown_as=name)


def fetch_official(name: str, folder: Path) -> Path:
    """The file of weights that ultralytics publishes under `name`, pulled into `folder` where need be.

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
    return path


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
    except ValueError as error:
        raise _not_built(shown_as, "it is not a YAML mapping") from error
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build(description, names)
    except Exception as error:  # a wrong model YAML fails anywhere inside ultralytics' parser
        raise _not_built(shown_as, f"{type(error).__name__}: {_first_line(error)}") from error
    head = layers_of(model)[-1]
    if not is_detection_head(head):
        raise _not_built(shown_as, f"its last layer is {type(head).__name__}")
    return model


def _converted(
    layout: Layout, names: Sequence[str], file: ModelFile, tensors: dict[str, torch.Tensor], shown_as: str, field: str
) -> DetectionModel:
    shapes = file.shapes()
    try:
        if len(names) != class_count(layout, shapes):
            raise ValueError(f"{len(names)} class names for {class_count(layout, shapes)} classes")
        model = build(yaml_model_load(f"yolov9{layout.size}.yaml"), names, head_widths(layout, shapes)[-1])
        model.load_state_dict(deploy_tensors(layout, tensors), strict=True)
    except Exception as error:  # torch tells of a tensor that is missing or of another shape in many ways
        raise _misfit(field, f"{shown_as} do not fit YOLOv9-{layout.size}", error) from error
    return model.float().eval()


def _refuse_other_tasks(file: ModelFile, shown_as: str, field: str) -> None:
    task = str(file.attributes.get("task") or file.saved_as.rsplit(".", 1)[-1])
    head = file.layers[-1].rsplit(".", 1)[-1] if file.layers else ""
    if not file.saved_as.endswith("DetectionModel") or head not in HEADS:
        raise BadSpecError(field, f"{shown_as} holds a {task} model", KINDS)


def _rebuild(file: ModelFile, tensors: dict[str, torch.Tensor], shown_as: str, field: str) -> DetectionModel:
    try:
        if file.architecture is None or not file.classes:
            raise ValueError("it has no architecture or no class names")
        architecture = {key: value for key, value in file.architecture.items() if key != "yaml_file"}
        refuse_burden(architecture, len(file.classes), sum(tensor.numel() for tensor in tensors.values()))
        model = build(architecture, file.classes, _hidden_width(file))
        model.load_state_dict(tensors, strict=True)
    except Exception as error:  # a fused or pruned model, or another version's, differs in many ways
        raise _misfit(field, f"{shown_as} do not fit the architecture it names", error) from error
    return model.float().eval()


def _hidden_width(file: ModelFile) -> int | None:
    """Hidden channels of the class branches, if the file has any that are known."""
    shapes = file.shapes()
    for branch in CLASS_BRANCHES:
        shape = shapes.get(f"model.{len(file.layers) - 1}.{branch}.0.2.weight", ())
        if len(shape) == 4:
            return shape[1]
    return None


def _misfit(field: str, what: str, error: Exception) -> BadSpecError:
    return BadSpecError(
        field,
        f"the weights in {what} ({_first_line(error)})",
        "Give a checkpoint as its training saved it, neither fused nor pruned.",
    )


def _not_to_be_had(name: str, why: str) -> BadSpecError:
    return BadSpecError(
        FIELD, f"the weights {name!r} can't be had ({why})", "Upload them to your store and give their URI here."
    )


def _not_built(shown_as: str, why: str) -> BadSpecError:
    return BadSpecError(
        FIELD,
        f"{shown_as} can't be built as a detection model ({why})",
        "Give a model YAML of ultralytics whose last layer is Detect.",
    )


def _first_line(error: BaseException) -> str:
    text = str(error).replace("ERROR ❌️ ", "").strip()
    lines = text.splitlines() or [type(error).__name__]
    told = lines[1].strip() if lines[0].endswith(":") and len(lines) > 1 else lines[0]  # torch lists what is wrong
    return told[:200]
