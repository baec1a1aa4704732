"""What can be done with model files from anywhere: look inside, convert, export, fuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from treering_api import Parity

if TYPE_CHECKING:
    from treering_trainer.foreign.model_file import ModelFile, Part
    from treering_trainer.foreign.recognition import Recognised
    from treering_trainer.yolo.conversion import Conversion
    from treering_trainer.yolo.exporting.alone import Exported
    from treering_trainer.yolo.fusion.fuse import Fusion, Source, Wanted
    from treering_trainer.yolo.fusion.predictor import FusedDetector


@dataclass(frozen=True)
class InspectedModel:
    """A model file: its description, what it was recognised as, and its parts, largest first."""

    file: ModelFile
    kind: Recognised
    parts: tuple[Part, ...]


def inspect_model(path: Path) -> InspectedModel:
    """What a model file of anywhere holds; it is read in a process of its own, and nothing in it is run.

    Raises:
        BadSpecError: it is no model file, or one that would run code, or damaged; says what it holds.
    """
    from treering_trainer.foreign.reading import read_model_file
    from treering_trainer.foreign.recognition import breakdown, recognise

    file = read_model_file(path, shown_as=str(path), field="FILE")
    kind = recognise(file)
    return InspectedModel(file, kind, breakdown(file, kind))


def convert_model(
    path: Path,
    out: Path,
    *,
    images: Path | None = None,
    data: Path | None = None,
    image_size: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> Conversion:
    """Write a deployable model of a model file, proven to answer as before; the original is only read.

    Args:
        out: a `.pt` file that is not there yet.
        images: folder of pictures to compare outputs on, beside random ones.
        data: folder in YOLO layout to measure mAP on.
        image_size: pixels, a multiple of 32; None takes that of the training.
        tell: hears what is being done.

    Raises:
        BadSpecError: the file can't be converted; nothing is written.
    """
    from treering_trainer.yolo.conversion import Wanted, convert

    return convert(path, out, Wanted(image_size, images, data), tell or (lambda _: None))


def export_model(
    path: Path,
    out: Path,
    formats: Sequence[str],
    *,
    data: Path | None = None,
    calibration: Path | None = None,
    image_size: int | None = None,
    parity: Parity | None = None,
    tell: Callable[[str], None] | None = None,
) -> Exported:
    """Make further formats of a model, each measured beside the model itself; the original is only read.

    Args:
        path: a model file, or the folder of a published round.
        out: a folder that is not there yet.
        formats: names of `spec.export.formats`.
        data: folder in YOLO layout to measure on; without it only latency is measured, and boxes on random pictures.
        calibration: folder of pictures for 8-bit formats, other ones than those measured on.
        image_size: pixels, a multiple of 32; None takes that of the training.
        parity: limits; None: the spec's defaults.
        tell: hears what is being done.

    Raises:
        BadSpecError: the model can't be read, or a format can't be made on this machine; nothing is written.
        BadDataError: the data can't be used.
    """
    from treering_trainer.yolo.exporting.alone import export_alone

    return export_alone(
        path, out, tuple(formats), data, calibration, image_size, parity or Parity(), tell or (lambda _: None)
    )


def fuse_models(
    sources: Sequence[Source], out: Path, wanted: Wanted | None = None, *, tell: Callable[[str], None] | None = None
) -> Fusion:
    """Write one detector that asks several models and fuses what they find; nothing is trained.

    The originals are only read.

    Args:
        sources: 2 to 8 models, as `treering_trainer.yolo.fusion.fuse.Source`.
        out: a folder that is not there yet; `load_fused` and ultralytics (`out/model.onnx`) open it.
        wanted: how to fuse and what to measure on, as `treering_trainer.yolo.fusion.fuse.Wanted`.
        tell: hears what is being done.

    Raises:
        BadSpecError: a file is no detector, or names, weights or thresholds don't fit; nothing is written.
        BadDataError: the data can't be used.
    """
    from treering_trainer.yolo.fusion.fuse import Wanted, fuse

    return fuse(sources, out, wanted or Wanted(), tell or (lambda _: None))


def load_fused(folder: Path | str, *, device: str = "cpu") -> FusedDetector:
    """A fused detector; its `predict` gives ultralytics' `Results`.

    Args:
        folder: what `fuse_models` or `treering fuse` wrote.
        device: as torch names it.

    Raises:
        BadSpecError: it is no such folder, or a damaged one.
    """
    from treering_trainer.yolo.fusion.predictor import FusedDetector

    return FusedDetector.load(folder, device)
