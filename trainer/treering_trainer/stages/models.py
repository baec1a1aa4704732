"""The models of a round at work: the published one, further teachers, the candidate."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import nn

from treering_api import BadSpecError, ResumableError
from treering_trainer.engine.stop import StopRequest
from treering_trainer.policies.situation import DonorTeacher
from treering_trainer.stages.donors import donor_networks
from treering_trainer.stages.fetch import current_folder
from treering_trainer.stages.weights import teacher_fields, teacher_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import load_foreign, load_model, load_official
from treering_trainer.yolo.yolov5 import AnchorModel


def published_detector(bench: Workbench) -> YoloDetector:
    """The model in production, ready to detect."""
    return make_detector(bench, load_model(current_folder(bench)))


def teacher_detectors(bench: Workbench) -> dict[str, YoloDetector]:
    """Further teachers of the round by URI, ready to detect.

    Raises:
        BadSpecError: a file is no detection model, or holds foreign code; names the teacher's field.
    """
    found = {}
    for uri, field in teacher_fields(bench).items():
        try:
            if "://" in uri:
                model = load_foreign(teacher_path(bench, uri), shown_as=uri)
            else:
                model = load_official(uri, bench.shared / "models" / "official")
        except BadSpecError as error:
            error.where = field
            raise
        found[uri] = make_detector(bench, model)
    return found


def donor_teachers(bench: Workbench) -> tuple[DonorTeacher, ...]:
    """The donors of a merge round that can be asked anchor by anchor: those with the base's grid, base included."""
    grid_of = toolbox(bench).strides
    (base, *others) = ((one, network) for one, network in donor_networks(bench) if not isinstance(network, AnchorModel))
    alike = [base, *(other for other in others if grid_of(other[1]) == grid_of(base[1]))]
    return tuple(DonorTeacher(one.field, make_detector(bench, network), one.classes) for one, network in alike)


def candidate_folder(bench: Workbench) -> Path:
    """Where the train stage leaves the candidate."""
    return bench.folder / "candidate"


def candidate_detector(bench: Workbench) -> YoloDetector:
    """The candidate, ready to detect."""
    return make_detector(bench, load_model(candidate_folder(bench)))


def toolbox(bench: Workbench) -> YoloToolbox:
    """The machinery around models, for policies."""
    workers = 0 if bench.device == "cpu" else min(bench.threads, 4)
    stop = bench.stop if bench.crew.count == 1 else StopRequest()  # ranks stop together, after the same batch
    return YoloToolbox(bench.plan.spec.model.image_size, bench.device, workers=workers, stop=stop)


def make_detector(bench: Workbench, model: nn.Module) -> YoloDetector:
    """`model` on the round's device: ultralytics' own, or one that answers as they do (YOLOv5's, a fused one)."""
    workers = 0 if bench.device == "cpu" else min(bench.threads, 4)
    placed = cast("DetectionModel", model.to(bench.device).eval())
    return YoloDetector(placed, bench.plan.spec.model.image_size, bench.device, workers=workers)


def choose_device(gpus: int | str) -> str:
    """The device of a round on this machine: the first GPU, where it has several.

    Raises:
        ResumableError: GPUs were asked for that are not there.
    """
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus == "auto":
        return "cuda:0" if found else "cpu"
    assert isinstance(gpus, int)
    if gpus > found:
        asked = "1 GPU was" if gpus == 1 else f"{gpus} GPUs were"
        raise ResumableError(
            "spec.compute.gpus",
            f"{asked} asked for and torch finds {found or 'none'} on this machine",
            "Run where there are as many (check the driver with nvidia-smi), or set gpus to auto or 0",
        )
    return "cuda:0" if gpus else "cpu"
