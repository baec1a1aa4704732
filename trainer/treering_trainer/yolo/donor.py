"""A model of any kind that can detect, opened to be asked: a donor of a merge, a teacher, a member of a fused detector.

Ultralytics' models, original YOLOv9 (dual and plain) and original YOLOv5 from their files, and a line's own from the
folder of a published round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from treering_api import BadSpecError
from treering_trainer.foreign.reading import opened
from treering_trainer.foreign.recognition import recognise
from treering_trainer.store import sha256_of
from treering_trainer.yolo.foreign import as_detection_model, trained_image_size
from treering_trainer.yolo.parts import class_names
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import ModelDescription, load_model, save_model
from treering_trainer.yolo.yolov5 import DESCRIPTION, AnchorModel, build_yolov5, load_yolov5, save_yolov5


@dataclass(frozen=True)
class Donor:
    """An opened model.

    Args:
        network: in evaluation mode, on the processor, float32.
        image_size: that it was trained with, pixels.
        sha256: of the file that holds its weights.
        label: its kind, for people.
    """

    network: DetectionModel | AnchorModel
    image_size: int
    sha256: str
    label: str

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in head order."""
        return class_names(self.network)

    @property
    def growable(self) -> DetectionModel | None:
        """The network, if its rows can be copied and it can go on learning: not with anchors."""
        return None if isinstance(self.network, AnchorModel) else self.network


def open_donor(path: Path, *, shown_as: str, field: str) -> Donor:
    """Open a model file, or the folder of a published round, without running anything in it.

    Args:
        shown_as: how the user named it, for messages.
        field: what names it, for messages.

    Raises:
        BadSpecError: there is none, or it holds no detector.
    """
    if path.is_dir():
        return _own(path, shown_as, field)
    if not path.is_file():
        raise BadSpecError(field, f"{shown_as} does not exist", "Give a .pt or .safetensors file.")
    with opened(path, shown_as=shown_as, field=field) as (file, place):
        tensors, found = load_file(place), recognise(file)
        network: DetectionModel | AnchorModel
        if found.family == "yolov5":
            network = build_yolov5(file, tensors, shown_as=shown_as, field=field)
        else:
            network = as_detection_model(file, tensors, shown_as=shown_as, field=field)
    return Donor(network, trained_image_size(file), sha256_of(path), found.label)


def keep_network(network: DetectionModel | AnchorModel, folder: Path, *, image_size: int) -> None:
    """Write an opened network into `folder`, so that opening it again takes no process of its own."""
    if isinstance(network, AnchorModel):
        save_yolov5(network, folder)
    else:
        save_model(network, folder, image_size=image_size, line="", round_number=0)


def kept_network(folder: Path) -> DetectionModel | AnchorModel:
    """Read what `keep_network` wrote; every tensor has to fit."""
    return load_yolov5(folder) if (folder / DESCRIPTION).exists() else load_model(folder)


def _own(folder: Path, shown_as: str, field: str) -> Donor:
    try:
        description = ModelDescription.model_validate_json((folder / "model.json").read_bytes())
        weights = folder / "model.safetensors"
        label = f"round {description.round} of {description.line}" if description.line else "a published round"
        return Donor(load_model(folder), description.image_size, sha256_of(weights), label)
    except (OSError, ValueError, RuntimeError) as error:
        found = f"{shown_as} is no folder of a published round ({str(error).splitlines()[0][:160]})"
        raise BadSpecError(field, found, "Give one that holds model.safetensors and model.json, or a file.") from error
