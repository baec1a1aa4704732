"""What a model file is: told by its tensors' names and shapes, its class and its layers, never by its file name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treering_trainer.foreign.model_file import ModelFile, Part
from treering_trainer.foreign.tensors import ITEM_BYTES
from treering_trainer.foreign.yolov9 import Layout, class_count, layout_of

Family = Literal["ultralytics", "yolov5", "yolov9-dual", "yolov9", "original", "tensors"]
NEEDED = ("weights", "structure")
"""Kinds of parts that a model is made of."""
TRAINING = ("auxiliary", "optimizer", "second copy", "arguments")
"""Kinds of parts that serve training; what is left tells of it, or is computed anew."""
YOLOV5_SIZES = {16: "n", 32: "s", 48: "m", 64: "l", 80: "x"}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "anchors", "anchor_grid", "stride")
"""Last parts of names of tensors that are learned by no gradient."""


@dataclass(frozen=True)
class Recognised:
    """A model file's kind.

    Args:
        label: for people, such as `YOLOv9-t, dual (train_dual.py)`.
        size: t, n, s, m, ...; empty where it is not known.
        classes: names in head order; numbers where the file has no names.
        layout: of an original YOLOv9.
        parameters: learned numbers of the whole model, auxiliary branch included.
        auxiliary_parameters: of the auxiliary branch; the same in bytes, statistics included, is `auxiliary_bytes`.
    """

    family: Family
    label: str
    size: str
    classes: tuple[str, ...]
    layout: Layout | None
    parameters: int
    auxiliary_parameters: int
    auxiliary_bytes: int


def recognise(file: ModelFile) -> Recognised:
    """Tell what a file is."""
    shapes = file.shapes()
    layout = layout_of(shapes)
    family, label, size = _kind(file, layout)
    classes = file.classes
    if layout is not None and not classes:
        classes = tuple(map(str, range(class_count(layout, shapes))))
    auxiliary = [item for item in file.tensors if layout is not None and layout.target(item.name) is None]
    return Recognised(
        family=family,
        label=label,
        size=size,
        classes=classes,
        layout=layout,
        parameters=sum(item.numbers for item in file.tensors if _learned(item.name)),
        auxiliary_parameters=sum(item.numbers for item in auxiliary if _learned(item.name)),
        auxiliary_bytes=sum(item.numbers * ITEM_BYTES[item.dtype] for item in auxiliary),
    )


def _kind(file: ModelFile, layout: Layout | None) -> tuple[Family, str, str]:
    if file.saved_as.startswith("ultralytics."):
        return "ultralytics", *_ultralytics(file)
    if layout is not None and layout.dual:
        return "yolov9-dual", f"YOLOv9-{layout.size}, dual (train_dual.py), with an auxiliary branch", layout.size
    if layout is not None:
        return "yolov9", f"GELAN-{layout.size} (YOLOv9, train.py), no auxiliary branch", layout.size
    shapes = file.shapes()
    if any(name.endswith(".anchors") for name in shapes) and file.saved_as.startswith(("models.", "tensors")):
        size = YOLOV5_SIZES.get(shapes.get("model.0.conv.weight", (0,))[0], "")
        return "yolov5", f"YOLOv5{size} (original, anchors)" if size else "original YOLO with anchors", size
    if file.saved_as.startswith(("models.", "utils.")):
        return "original", f"original YOLO code, {file.saved_as}", ""
    return "tensors", "tensors of an architecture that is not known", ""


def _ultralytics(file: ModelFile) -> tuple[str, str]:
    architecture = file.architecture or {}
    size = str(architecture.get("scale") or "")[:8]
    name = str(architecture.get("yaml_file") or "").replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".yaml")
    task = str(file.attributes.get("task") or "detect")
    head = file.layers[-1].rsplit(".", 1)[-1] if file.layers else file.saved_as.rsplit(".", 1)[-1]
    return f"{name or 'model'} of ultralytics ({task}, head {head})", size


def _learned(name: str) -> bool:
    return name.rsplit(".", 1)[-1] not in STATISTICS


def breakdown(file: ModelFile, found: Recognised) -> tuple[Part, ...]:
    """The file's parts, largest first, with the auxiliary branch beside the weights that stay."""
    parts = []
    for part in file.parts:
        if part.kind == "weights" and found.auxiliary_bytes:
            shared = min(found.auxiliary_bytes, part.size_bytes)
            parts.append(part.model_copy(update={"size_bytes": part.size_bytes - shared}))
            parts.append(Part(name="auxiliary branch", kind="auxiliary", size_bytes=shared))
        else:
            parts.append(part)
    return tuple(sorted(parts, key=lambda part: -part.size_bytes))


def surplus(file: ModelFile, found: Recognised) -> tuple[Part, ...]:
    """What a deployed model does without."""
    return tuple(part for part in breakdown(file, found) if part.kind not in NEEDED)
