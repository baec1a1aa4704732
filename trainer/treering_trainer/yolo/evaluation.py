"""How well a model finds each class on one evaluation set: ultralytics' validator over our samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import YAML, nms

from treering_trainer.dataset import Boxes, Sample, no_boxes
from treering_trainer.records import ClassScore, SetScore
from treering_trainer.yolo.agreement import worst_images
from treering_trainer.yolo.detector import NMS_TIME_S, YoloDetector, to_shares
from treering_trainer.yolo.threads import keep_threads

SHOWN_CONFIDENCE = 0.25
"""What people see, as ultralytics predicts by default; F1 over all confidences is dominated by the faintest."""


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
        samples: class indices into the detector's names; boxes of other classes must be gone, and some box be there.
        folder: a work folder of this evaluation.
        worst: how many images with the lowest F1 to keep, with what was found in them.

    Returns:
        The scores and the inference time per image, milliseconds.
    """
    validator = _validate(detector, samples, folder)
    shown = [validator.shown[str(sample.image)] for sample in samples]
    score = SetScore(
        name=name,
        kind=kind,
        images=len(samples),
        classes=_class_scores(validator.metrics, detector.names),
        worst=worst_images(detector.names, samples, shown, worst) if worst else (),
    )
    speed: Any = validator.speed
    return score, float(speed["inference"])


class PatientValidator(DetectionValidator):
    """ultralytics' validator, but it takes its time (what it has not looked at after .05 s, it counts as missed), and
    it keeps what people see: `shown`, by image file, (n, 6) as `YoloDetector.detect` gives it.
    """

    shown: dict[str, Boxes]

    def update_metrics(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        """Count the batch, and keep its surer boxes so that the worst images need no second look."""
        super().update_metrics(preds, batch)
        for position, found in enumerate(preds):
            rows = torch.cat([found["bboxes"], found["conf"][:, None], found["cls"][:, None]], dim=1)
            sure = rows[rows[:, 4] >= SHOWN_CONFIDENCE]
            self.shown[batch["im_file"][position]] = to_shares(sure, batch, position, batch["img"])

    def postprocess(self, preds: Any) -> list[dict[str, torch.Tensor]]:
        """Boxes of each image after non-maximum suppression."""
        outputs = nms.non_max_suppression(
            preds,
            self.args.conf,
            self.args.iou,
            multi_label=True,
            agnostic=self.args.agnostic_nms,
            max_det=self.args.max_det,
            max_time_img=NMS_TIME_S,
            end2end=self.end2end,
        )
        return [{"bboxes": x[:, :4], "conf": x[:, 4], "cls": x[:, 5], "extra": x[:, 6:]} for x in outputs]


def _validate(detector: YoloDetector, samples: Sequence[Sample], folder: Path) -> PatientValidator:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.yaml"  # the validator insists on a file, though it is handed the loader
    YAML.save(data, {"path": str(folder), "train": ".", "val": ".", "names": dict(enumerate(detector.names))})
    arguments = {
        "data": str(data),
        "imgsz": detector.image_size,
        "device": detector.device.removeprefix("cuda:"),
        "plots": False,
        "verbose": False,
        "save_dir": str(folder),
        "workers": detector.workers,
    }
    plain = [replace(sample, ignored=no_boxes()) for sample in samples]  # else they count as objects to be found
    validator = PatientValidator(dataloader=detector.loader(plain), save_dir=folder, args=arguments)
    validator.shown = {}
    keep_threads()
    validator(model=copy.deepcopy(detector.model))  # the validator fuses layers in place
    return validator


def _class_scores(metrics: Any, names: Sequence[str]) -> dict[str, ClassScore]:
    return {
        names[int(index)]: ClassScore(
            map50=float(metrics.box.ap50[position]),
            map50_95=float(metrics.box.ap[position]),
            precision=float(metrics.box.p[position]),
            recall=float(metrics.box.r[position]),
            instances=int(metrics.nt_per_class[int(index)]),
        )
        for position, index in enumerate(metrics.box.ap_class_index)
    }
