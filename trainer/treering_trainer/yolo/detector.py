"""A model at work: detections and embeddings of samples, for pseudo-labels, memory selection and reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import nms, ops

from treering_trainer.dataset import Sample
from treering_trainer.policies.freeze import backbone_length
from treering_trainer.policies.interface import Boxes
from treering_trainer.yolo.head import class_names
from treering_trainer.yolo.samples import reading_loader

MAX_DETECTIONS = 300


@dataclass(frozen=True)
class YoloDetector:
    """A detection model with what it takes to run it.

    Args:
        model: in eval mode on `device`.
        image_size: side of the network input, pixels.
        device: as torch names it.
    """

    model: DetectionModel
    image_size: int
    device: str
    batch: int = 32
    workers: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in head order."""
        return class_names(self.model)

    def detect(self, samples: Sequence[Sample], *, confidence: float, overlap: float) -> list[Boxes]:
        """Per sample (n, 6): class index, centre x, centre y, width, height (shares of the image), confidence."""
        found: dict[str, Boxes] = {}
        with torch.inference_mode():
            for batch, images in self._batches(samples):
                output = nms.non_max_suppression(
                    self.model(images), confidence, overlap, max_det=MAX_DETECTIONS, end2end=self.model.end2end
                )
                for position, rows in enumerate(output):
                    found[batch["im_file"][position]] = _to_shares(rows, batch, position, images.shape[2:])
        return [found[str(sample.image)] for sample in samples]

    def embed(self, samples: Sequence[Sample]) -> Boxes:
        """(samples, features): the mean over the image of what the backbone's last layer gives."""
        layer = self.model.model[backbone_length(self.model.model) - 1]
        seen: list[torch.Tensor] = []
        handle = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.mean(dim=(2, 3))))
        files: list[str] = []
        try:
            with torch.inference_mode():
                for batch, images in self._batches(samples):
                    self.model(images)
                    files.extend(batch["im_file"])
        finally:
            handle.remove()
        rows = dict(zip(files, torch.cat(seen).double().cpu().numpy(), strict=True))
        return np.stack([rows[str(sample.image)] for sample in samples])

    def _batches(self, samples: Sequence[Sample]) -> Iterator[tuple[dict[str, Any], torch.Tensor]]:
        loader = reading_loader(
            samples,
            self.names,
            image_size=self.image_size,
            batch=self.batch,
            stride=max(int(self.model.stride.max()), 32),
            workers=self.workers,
        )
        self.model.eval()
        for batch in loader:
            yield batch, batch["img"].to(self.device).float() / 255


def _to_shares(rows: torch.Tensor, batch: dict[str, Any], position: int, shape: torch.Size) -> Boxes:
    height, width = batch["ori_shape"][position]
    boxes = ops.scale_boxes(shape, rows[:, :4].clone(), (height, width), batch["ratio_pad"][position])
    centred = ops.xyxy2xywh(boxes) / torch.tensor([width, height, width, height], device=boxes.device)
    return np.asarray(torch.cat([rows[:, 5:6], centred, rows[:, 4:5]], dim=1).cpu().numpy(), dtype=np.float64)
