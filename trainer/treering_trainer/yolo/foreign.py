"""Models from outside, which nobody vouches for: checkpoints and architectures, without running anything in them.

Nothing of a foreign checkpoint is kept but its architecture (data), its class names and its tensors: the model is built
anew by ultralytics and the tensors must fit it exactly, so that it can be published and loaded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from ultralytics import __version__ as ultralytics_version
from ultralytics.nn.tasks import DetectionModel, torch_safe_load, yaml_model_load

from treering_api import BadSpecError
from treering_trainer.policies.freeze import layers_of
from treering_trainer.yolo.head import build
from treering_trainer.yolo.parts import architecture_of, class_names, hidden_width, is_detection_head

FIELD = "spec.model.base"
KINDS = "Treering grows YOLO detection models of ultralytics (v8, v9, v10, 11, 12, 26): give such a checkpoint."
OLD_YOLO = ("models.", "utils.")
"""Where the original YOLOv5, v7 and v9 keep their classes."""


def load_foreign(path: Path, *, shown_as: str) -> DetectionModel:
    """Load an ultralytics checkpoint without running foreign code.

    Args:
        path: a local `.pt` file.
        shown_as: how the user named it, for messages.

    Raises:
        BadSpecError: the file is no checkpoint, holds foreign types, or is no detection model that can be grown.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    source = _unpickle(path, shown_as)
    if not isinstance(source, nn.Module):
        raise BadSpecError(FIELD, f"{shown_as} holds no model", KINDS)
    if not isinstance(source, DetectionModel) or not is_detection_head(layers_of(source)[-1]):
        task = getattr(source, "task", None) or type(source).__name__
        raise BadSpecError(FIELD, f"{shown_as} holds a {task} model", KINDS)
    return _rebuild(source, shown_as)


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


def _unpickle(path: Path, shown_as: str) -> object:
    try:
        checkpoint, _ = torch_safe_load(path, safe_only=True)
        return checkpoint.get("ema") or checkpoint.get("model")
    except Exception as error:  # torch, zip, pickle and ultralytics raise many kinds for a bad file
        raise BadSpecError(FIELD, *_explain(error, shown_as)) from error


def _rebuild(source: DetectionModel, shown_as: str) -> DetectionModel:
    try:
        model = build(architecture_of(source), class_names(source), hidden_width(source))
        model.load_state_dict(_tensors(source), strict=True)
    except Exception as error:  # a fused or pruned model, or another version's, differs in many ways
        raise BadSpecError(
            FIELD,
            f"the weights in {shown_as} do not fit the architecture it names ({_first_line(error)})",
            "Give a checkpoint as ultralytics' training saves it, neither fused nor pruned.",
        ) from error
    return model.float().eval()


def _tensors(source: nn.Module) -> Mapping[str, torch.Tensor]:
    return {name: value.float() if value.is_floating_point() else value for name, value in source.state_dict().items()}


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


def _explain(error: Exception, shown_as: str) -> tuple[str, str]:
    foreign = _foreign_type(error)
    if foreign is None:
        return (
            f"{shown_as} is no checkpoint that can be read ({_first_line(error)})",
            "Give a .pt file saved by ultralytics, complete and unchanged.",
        )
    if foreign.startswith(OLD_YOLO):
        return (
            f"{shown_as} was saved by the original YOLOv5, v7 or v9 code (it holds a {foreign})",
            "Only checkpoints of the ultralytics package can be grown, such as yolov5nu.pt in place of yolov5n.pt.",
        )
    return (
        f"{shown_as} holds {foreign}, which is not part of a plain ultralytics model; loading it would run its code",
        "Give a checkpoint saved by ultralytics 8 or newer, from someone you trust.",
    )


def _foreign_type(error: BaseException) -> str | None:
    """The type that the restricted loader refused, if that is what went wrong."""
    cause: BaseException | None = error
    while cause is not None:
        found = re.search(r"GLOBAL ([\w.]+)", str(cause)) or re.search(r"Unsupported class ([\w.]+)", str(cause))
        if found:
            return found.group(1)
        cause = cause.__cause__ or cause.__context__
    return None


def _first_line(error: BaseException) -> str:
    text = str(error).replace("ERROR ❌️ ", "").strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]
