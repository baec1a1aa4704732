"""From a model file of elsewhere to one that ultralytics deploys and Treering grows, proven equal before it is left.

`treering convert` calls it; a line's `model.base` takes the same way in `foreign`, without measuring.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from treering_api import BadDataError, BadSpecError, Verification
from treering_trainer.dataset import Sample, read_dataset, remap
from treering_trainer.foreign.model_file import ModelFile, Part
from treering_trainer.foreign.reading import opened
from treering_trainer.foreign.recognition import Recognised, recognise, surplus
from treering_trainer.foreign.tensors import EXPONENTS
from treering_trainer.foreign.yolov9 import head_widths
from treering_trainer.yolo.detector import YoloDetector, on_processor
from treering_trainer.yolo.equality import Proof, given_images, latencies_ms, prove
from treering_trainer.yolo.evaluation import evaluate
from treering_trainer.yolo.foreign import as_detection_model, load_foreign, trained_image_size
from treering_trainer.yolo.new_folder import refuse_image_size
from treering_trainer.yolo.weights import save_ultralytics
from treering_trainer.yolo.yolov9 import build_original

FIELD = "FILE"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to measure on.

    Args:
        image_size: pixels; None takes that of the training, or 640.
        images: folder of pictures to compare outputs on.
        data: folder in YOLO layout to measure mAP on.
    """

    image_size: int | None = None
    images: Path | None = None
    data: Path | None = None


@dataclass(frozen=True)
class Side:
    """A model as it was, or as it is now.

    Args:
        size_bytes: of its file.
        latency_ms: median of one picture on this machine's processor.
        map50: over all classes of the data; None without data.
    """

    size_bytes: int
    parameters: int
    latency_ms: float
    map50: float | None = None
    map50_95: float | None = None


@dataclass(frozen=True)
class Conversion:
    """What was done, and the proof of it.

    Args:
        outcome: one sentence.
        dropped: parts of the file that are not in the new one.
    """

    source: Recognised
    outcome: str
    image_size: int
    before: Side
    after: Side
    proof: Proof
    dropped: tuple[Part, ...]


def convert(path: Path, out: Path, wanted: Wanted, tell: Tell) -> Conversion:
    """Write the deployable model of `path` to `out`; the original is only read.

    Raises:
        BadSpecError: `out` can't be taken, `path` is no model that can be converted, or the outputs differ.
        BadDataError: the pictures or the data can't be used.
    """
    refuse_image_size(wanted.image_size)
    _refuse_place(path, out)
    tell("reading, in a process without network")
    with opened(path, shown_as=str(path), field=FIELD) as (file, place):
        tensors = load_file(place)
        found = recognise(file)
        after = as_detection_model(file, tensors, shown_as=str(path), field=FIELD)
        before = after if found.layout is None else _original(file, found, tensors)
    image_size = wanted.image_size or trained_image_size(file)
    with _beside(out) as partial:
        save_ultralytics(after, partial, image_size=image_size, half=_is_half(file))
        written = load_foreign(partial, shown_as=str(out), field=FIELD)
        tell("comparing outputs")
        given = given_images(wanted.images, on_processor(written, image_size)) if wanted.images else ()
        proof = prove(before, written, image_size, given)
        _refuse_difference(proof)
        sides = _measure(before, written, (path.stat().st_size, partial.stat().st_size), image_size, wanted.data, tell)
    return Conversion(found, _outcome(found), image_size, *sides, proof, surplus(file, found))


def _is_half(file: ModelFile) -> bool:
    """Whether half precision holds every weight exactly, as in most finished trainings."""
    return {item.dtype for item in file.tensors if item.dtype in EXPONENTS} == {"F16"}


def _original(file: ModelFile, found: Recognised, tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The file's own network, auxiliary branch and all, with every one of its tensors."""
    assert found.layout is not None
    model = build_original(found.layout, found.classes, head_widths(found.layout, file.shapes()))
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=True)
    except RuntimeError as error:
        found_text = f"it is no unchanged {found.label}: {str(error).splitlines()[-1].strip()[:160]}"
        raise BadSpecError(FIELD, found_text, "Give the checkpoint as its training saved it.") from error
    return model.float().eval()


def _measure(
    before: nn.Module, after: DetectionModel, sizes: tuple[int, int], image_size: int, data: Path | None, tell: Tell
) -> tuple[Side, Side]:
    tell("measuring latency")
    times = latencies_ms((before, after), image_size)
    models = (before, after)
    sides = [
        Side(size, sum(each.numel() for each in model.parameters()), time)
        for size, model, time in zip(sizes, models, times, strict=True)
    ]
    if data is None:
        return sides[0], sides[1]
    scores = []
    for name, model in zip(("before", "after"), models, strict=True):
        tell(f"measuring mAP {name}")
        scores.append(_score(on_processor(model, image_size), data))
    measured = [replace(side, map50=score[0], map50_95=score[1]) for side, score in zip(sides, scores, strict=True)]
    return measured[0], measured[1]


def _score(detector: YoloDetector, data: Path) -> tuple[float, float]:
    """mAP50 and mAP50-95, the mean over the classes that both the model and the data have."""
    samples = _labelled(data, detector.names)
    with tempfile.TemporaryDirectory(prefix="treering-") as folder:
        score, _ = evaluate(detector, samples, name="data", kind="holdout", folder=Path(folder))
    found = [*score.classes.values()]
    count = len(found) or 1  # none where nothing at all was detected
    return sum(each.map50 for each in found) / count, sum(each.map50_95 for each in found) / count


def _labelled(data: Path, names: tuple[str, ...]) -> list[Sample]:
    checked = read_dataset(data, data.name, "holdout", Verification())
    samples = [
        replace(sample, boxes=remap(sample.boxes, checked.dataset.names, names, drop_unknown=True))
        for sample in checked.dataset.val
    ]
    if not any(len(sample.boxes) for sample in samples):
        worst = next((f" ({each.where}: {each.found})" for each in checked.findings if each.severity == "error"), "")
        raise BadDataError(
            str(data),
            f"it has no box of the model's classes {', '.join(names[:10])}{worst}",
            "Give a folder in YOLO layout whose names.json has the model's class names.",
        )
    return samples


def _outcome(found: Recognised) -> str:
    if found.family == "yolov9-dual":
        return f"{found.label}, converted to ultralytics' YOLOv9-{found.size} without the auxiliary branch"
    if found.family == "yolov9":
        return (
            f"{found.label}: plain training never makes an auxiliary branch, so there is none to take away; converted "
            f"to ultralytics' YOLOv9-{found.size}"
        )
    return f"{found.label}: nothing to convert, an ultralytics model has no auxiliary branch; stripped to what deploys"


def _refuse_place(path: Path, out: Path) -> None:
    if out.suffix != ".pt":
        raise BadSpecError("--out", f"{out} does not end with .pt", "Give the name of the .pt file to write.")
    if out.exists():
        what = "is the original" if path.exists() and out.samefile(path) else "is there already"
        raise BadSpecError("--out", f"{out} {what}", "Give another name; nothing is written over.")
    if not out.parent.is_dir():
        raise BadSpecError("--out", f"the folder {out.parent} does not exist", "Make it, or give another one.")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A place beside `out` that becomes it only when all went well."""
    partial = out.with_name(f".{out.stem}.partial.pt")
    try:
        yield partial
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_difference(proof: Proof) -> None:
    if not proof.equal:
        raise BadSpecError(
            FIELD,
            f"the converted model answers differently: scores by {proof.score_difference:.3g}, boxes by "
            f"{proof.box_difference_px:.3g} pixels",
            "Nothing was written. Tell Treering's developers of which training the file comes.",
        )
