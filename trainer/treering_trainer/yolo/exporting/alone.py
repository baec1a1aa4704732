"""Further formats of a model outside of any round: `treering export`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from treering_api import EXPORT_FORMATS, BadSpecError, Parity
from treering_trainer.dataset import Sample, list_pictures, remap
from treering_trainer.records import ExportedFormat
from treering_trainer.yolo.donor import open_donor
from treering_trainer.yolo.exporting.export import ExportFailedError, export_formats
from treering_trainer.yolo.exporting.formats import FORMATS, refuse_unmakeable
from treering_trainer.yolo.exporting.job import Job, Picture, Pictures
from treering_trainer.yolo.new_folder import labelled_data, new_folder, refuse_image_size, refuse_place
from treering_trainer.yolo.weights import save_ultralytics

MOST_CALIBRATION = 512
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """What was made.

    Args:
        measured: pictures that all formats and the model itself were run on.
    """

    formats: tuple[ExportedFormat, ...]
    image_size: int
    measured: int


def export_alone(
    path: Path,
    out: Path,
    formats: tuple[str, ...],
    data: Path | None,
    calibration: Path | None,
    image_size: int | None,
    parity: Parity,
    tell: Tell,
) -> Exported:
    """See `api.export_model`."""
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    _refuse(formats, out, calibration, image_size, device)
    shown = [] if calibration is None else list_pictures(calibration, MOST_CALIBRATION)
    tell(f"reading {path}, in a process without network")
    donor = open_donor(path, shown_as=str(path), field="FILE")
    if donor.growable is None:
        raise BadSpecError("FILE", f"{path} predicts by anchors", "Export models of ultralytics or original YOLOv9.")
    size = image_size or donor.image_size
    samples = _samples(data, donor.names) if data is not None else ()
    with new_folder(out) as folder, tempfile.TemporaryDirectory(prefix="treering-") as scratch:
        folder.mkdir()
        checkpoint = folder / "model.pt"
        save_ultralytics(donor.growable, checkpoint, image_size=size)
        job = Job(
            name="",
            checkpoint=checkpoint,
            folder=folder / "exports",
            scratch=Path(scratch),
            image_size=size,
            device=device,
            threads=torch.get_num_threads(),
            calibration=tuple(path.absolute() for path in shown),
            sets=(Pictures(name="data", pictures=tuple(map(Picture.of, samples))),) if samples else (),
        )
        try:
            made = export_formats(formats, job, parity, tell=tell)
        except ExportFailedError as error:
            raise BadSpecError(
                "FILE", f"{path} can't be measured: {error}", "Look whether it detects at all."
            ) from error
    return Exported(made, size, len(samples))


def _refuse(formats: tuple[str, ...], out: Path, calibration: Path | None, image_size: int | None, device: str) -> None:
    for name in formats:
        if name not in FORMATS:
            raise BadSpecError("--format", repr(name), f"Give one or more of {', '.join(EXPORT_FORMATS)}.")
    if not formats:
        raise BadSpecError("--format", "none given", f"Give one or more of {', '.join(EXPORT_FORMATS)}.")
    if len(set(formats)) < len(formats):
        raise BadSpecError("--format", "one format stands there twice", "Give each once.")
    refuse_image_size(image_size)
    needy = [name for name in formats if FORMATS[name].calibrated]
    if needy and calibration is None:
        raise BadSpecError("--calibration", f"none given, and {needy[0]} needs pictures", "Give a folder of pictures.")
    refuse_unmakeable(formats, device, "--format")
    refuse_place(out)


def _samples(data: Path, names: tuple[str, ...]) -> tuple[Sample, ...]:
    dataset = labelled_data(data)
    return tuple(
        replace(sample, boxes=remap(sample.boxes, dataset.names, names, drop_unknown=True)) for sample in dataset.val
    )
