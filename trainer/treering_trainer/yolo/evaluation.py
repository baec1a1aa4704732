"""How well a model finds each class on one evaluation set: ultralytics' validator over our samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import YAML

from treering_trainer.dataset import Sample
from treering_trainer.records import ClassScore, ImageScore, SetScore
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.samples import reading_loader

SHOWN_CONFIDENCE = 0.25  # as ultralytics predicts by default


def evaluate(
    detector: YoloDetector,
    samples: Sequence[Sample],
    *,
    name: str,
    kind: Literal["holdout", "val"],
    folder: Path,
    worst: int = 0,
) -> tuple[SetScore, float]:
    """Score a model on one set.

    Args:
        samples: class indices into the detector's names; boxes of other classes must be gone.
        folder: a work folder of this evaluation.
        worst: how many images with the lowest F1 to keep, with what was found in them.

    Returns:
        The scores and the inference time per image, milliseconds.
    """
    validator = _validate(detector, samples, folder)
    box = validator.metrics.box
    classes = {
        detector.names[int(index)]: ClassScore(
            map50=float(box.ap50[position]),
            map50_95=float(box.ap[position]),
            precision=float(box.p[position]),
            recall=float(box.r[position]),
            instances=int(validator.metrics.nt_per_class[int(index)]),
        )
        for position, index in enumerate(box.ap_class_index)
    }
    shown = _worst_images(detector, samples, box.image_metrics, worst)
    score = SetScore(name=name, kind=kind, images=len(samples), classes=classes, worst=shown)
    return score, float(validator.speed["inference"])


def _validate(detector: YoloDetector, samples: Sequence[Sample], folder: Path) -> DetectionValidator:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.yaml"  # the validator insists on a file, though it is handed the loader
    YAML.save(data, {"path": str(folder), "train": ".", "val": ".", "names": dict(enumerate(detector.names))})
    loader = reading_loader(
        samples,
        detector.names,
        image_size=detector.image_size,
        batch=detector.batch,
        stride=max(int(detector.model.stride.max()), 32),
        workers=detector.workers,
    )
    arguments = {
        "data": str(data),
        "imgsz": detector.image_size,
        "device": detector.device.removeprefix("cuda:"),
        "plots": False,
        "verbose": False,
        "save_dir": str(folder),
        "workers": detector.workers,
    }
    validator = DetectionValidator(dataloader=loader, save_dir=folder, args=arguments)
    validator(model=copy.deepcopy(detector.model))  # the validator fuses layers in place
    return validator


def _worst_images(
    detector: YoloDetector, samples: Sequence[Sample], metrics: dict[str, dict[str, float]], count: int
) -> tuple[ImageScore, ...]:
    by_name = {sample.image.name: sample for sample in samples}
    # F1 over all confidences is dominated by the faintest detections; what people see starts at .25
    shown = detector.detect(samples, confidence=SHOWN_CONFIDENCE, overlap=0.7) if count else []
    found = {sample.image.name: rows for sample, rows in zip(samples, shown, strict=False)}
    order = sorted((name for name in metrics if name in found), key=lambda name: _recall_at_shown(by_name[name], found[name]))
    return tuple(_image_score(detector.names, by_name[name], found[name]) for name in order[:count])


def _recall_at_shown(sample: Sample, rows: np.ndarray) -> tuple[float, str]:
    return _agreement(sample, rows)[2], sample.name


def _agreement(sample: Sample, rows: np.ndarray) -> tuple[float, float, float]:
    from treering_trainer.policies.pseudo_labels import intersection_over_union

    if not len(sample.boxes) or not len(rows):
        empty = 1.0 if not len(sample.boxes) and not len(rows) else 0.0
        return empty, empty, empty
    overlap = intersection_over_union(rows[:, 1:5], sample.boxes[:, 1:5])
    overlap = overlap * (rows[:, :1] == sample.boxes[:, 0][None])
    hits = 0
    for _ in range(min(overlap.shape)):
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        if overlap[row, column] < 0.5:
            break
        hits += 1
        overlap[row, :] = overlap[:, column] = 0.0
    precision, recall = hits / len(rows), hits / len(sample.boxes)
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def _image_score(names: Sequence[str], sample: Sample, rows: np.ndarray) -> ImageScore:
    precision, recall, f1 = _agreement(sample, rows)
    truth = [(names[int(row[0])], *_corners(row[1:5], sample)) for row in sample.boxes]
    predictions = [(names[int(row[0])], float(row[5]), *_corners(row[1:5], sample)) for row in rows]
    return ImageScore(
        name=sample.image.name,
        path=str(sample.image),
        precision=precision,
        recall=recall,
        f1=f1,
        truth=tuple(truth),
        predictions=tuple(predictions),
    )


def _corners(box: np.ndarray, sample: Sample) -> tuple[float, float, float, float]:
    x, y, width, height = (float(value) for value in box)
    return (
        (x - width / 2) * sample.width,
        (y - height / 2) * sample.height,
        (x + width / 2) * sample.width,
        (y + height / 2) * sample.height,
    )
