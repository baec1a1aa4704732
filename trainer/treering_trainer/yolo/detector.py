"""A model at work: detections and embeddings of samples, for pseudo-labels, memory selection and reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import nms, ops

from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Boxes, Glance
from treering_trainer.yolo.glance import Watch, input_corners
from treering_trainer.yolo.parts import class_names, grid_size
from treering_trainer.yolo.samples import reading_loader
from treering_trainer.yolo.views import fuse_views, unmirror

MAX_DETECTIONS = 300
FAINTEST = 0.05
LEAST_PX = 1.0
FEW = 8
"""Images of a small batch."""
NMS_TIME_S = 600.0
"""Per image; ultralytics' own .05 s drops the rest of a batch without a word where the machine is busy."""


@dataclass(frozen=True)
class YoloDetector:
    """A detection model with what it takes to run it.

    Args:
        model: in eval mode on `device`.
        image_size: side of the network input, pixels.
        device: as torch names it.
        square: whether images come in the middle of a grey square, as what was exported for one size has to have them.
    """

    model: DetectionModel
    image_size: int
    device: str
    batch: int = 32
    workers: int = 0
    square: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in head order."""
        return class_names(self.model)

    @property
    def network(self) -> nn.Module:
        """The network itself, in evaluation mode on its device."""
        return self.model

    def detect(
        self, samples: Sequence[Sample], *, confidence: float, overlap: float, mirror: bool = False
    ) -> list[Boxes]:
        """Per sample (n, 6): class index, centre x, centre y, width, height (shares of the image), confidence.

        Args:
            confidence: least confidence of a box, 0..1.
            overlap: IoU from which two boxes of one class are one object.
            mirror: look at the mirror image too and take the mean confidence, 0 where a view does not see the object.
        """
        found: dict[str, Boxes] = {}
        with torch.inference_mode():
            for batch, images in self._batches(samples):
                views = self._views(images, confidence, overlap, mirror=mirror)
                for position, rows in enumerate(views):
                    found[batch["im_file"][position]] = to_shares(rows, batch, position, images)
        return [found[str(sample.image)] for sample in samples]

    def embed(self, samples: Sequence[Sample]) -> Boxes:
        """(samples, features): the mean over the image of what the backbone's last layer gives."""
        files: list[str] = []
        seen: list[torch.Tensor] = []
        with torch.inference_mode(), Watch(self.model).watching() as watch:
            for batch, images in self._batches(samples, square=True):
                self.model(images)
                files.extend(batch["im_file"])
                seen.append(watch.images(batch, images.shape[-1]))
        if not seen:
            return np.zeros((0, 0))
        rows = dict(zip(files, torch.cat(seen).double().cpu().numpy(), strict=True))
        return np.stack([rows[str(sample.image)] for sample in samples])

    def glance(self, samples: Sequence[Sample], *, confidence: float, overlap: float) -> Glance:
        """Descriptors of images and true boxes, and detections, from one pass.

        Args:
            confidence: least confidence of a detection, 0..1.
            overlap: IoU from which two detections of one class are one object.
        """
        images_seen: dict[str, Boxes] = {}
        boxes_seen: dict[str, Boxes] = {}
        found: dict[str, Boxes] = {}
        known = {str(sample.image): sample for sample in samples}
        with torch.inference_mode(), Watch(self.model).watching() as watch:
            for batch, images in self._batches(samples, square=True):
                views = self._view(images, confidence, overlap)
                described = watch.images(batch, images.shape[-1]).double().cpu().numpy()
                for position, file in enumerate(batch["im_file"]):
                    corners = input_corners(known[file], batch, position)
                    images_seen[file] = described[position]
                    boxes_seen[file] = watch.boxes(position, corners, images.shape[-1]).double().cpu().numpy()
                    found[file] = to_shares(views[position], batch, position, images)
        files = [str(sample.image) for sample in samples]
        empty = np.zeros((0, 0))
        return Glance(
            images=np.stack([images_seen[file] for file in files]) if files else empty,
            boxes=np.concatenate([boxes_seen[file] for file in files]) if files else empty,
            found=tuple(found[file] for file in files),
        )

    def suppressed(self, images: torch.Tensor, confidence: float, overlap: float) -> list[torch.Tensor]:
        """Per image (n, 6): x1, y1, x2, y2 in input pixels, confidence, class.

        Args:
            images: (n, 3, height, width), 0..1, on the detector's device.
        """
        return self._view(images, confidence, overlap)

    def _views(self, images: torch.Tensor, confidence: float, overlap: float, *, mirror: bool) -> list[torch.Tensor]:
        """Per image (n, 6): x1, y1, x2, y2 in input pixels, confidence, class."""
        if not mirror:
            return self._view(images, confidence, overlap)
        least = min(confidence, FAINTEST)  # the mean can be high enough though one view is faint
        straight, mirrored = (self._view(view, least, overlap) for view in (images, images.flip(-1)))
        width = images.shape[-1]
        return [
            fuse_views(one, unmirror(other, width), confidence) for one, other in zip(straight, mirrored, strict=True)
        ]

    def _view(self, images: torch.Tensor, confidence: float, overlap: float) -> list[torch.Tensor]:
        output: list[torch.Tensor] = nms.non_max_suppression(
            self.model(images),
            confidence,
            overlap,
            max_det=MAX_DETECTIONS,
            max_time_img=NMS_TIME_S,
            end2end=self.model.end2end,
        )
        return output

    def loader(self, samples: Sequence[Sample], *, square: bool = False) -> DataLoader[dict[str, Any]]:
        """At least one sample, as batches that the model can read.

        Args:
            square: all in squares of the image size. Otherwise a batch shares one shape, and an image's grey margin
                depends on its neighbours.
        """
        return reading_loader(
            samples,
            self.names,
            image_size=self.image_size,
            batch=self.batch,
            stride=grid_size(self.model),
            workers=self.workers,
            rect=not (square or self.square),
        )

    def _batches(
        self, samples: Sequence[Sample], *, square: bool = False
    ) -> Iterator[tuple[dict[str, Any], torch.Tensor]]:
        if not samples:
            return
        self.model.eval()
        for batch in self.loader(samples, square=square):
            yield batch, batch["img"].to(self.device).float() / 255


def on_processor(network: nn.Module, image_size: int) -> YoloDetector:
    """Any network that answers as ultralytics' do, in small batches on the processor: to measure it."""
    return YoloDetector(cast("DetectionModel", network), image_size, "cpu", batch=FEW)


def to_shares(rows: torch.Tensor, batch: dict[str, Any], position: int, images: torch.Tensor) -> Boxes:
    """One image's rows, (n, 6) x1, y1, x2, y2 in input pixels, confidence, class, in the form that `detect` gives."""
    height, width = batch["ori_shape"][position]
    shape = (images.shape[2], images.shape[3])
    boxes = ops.scale_boxes(shape, rows[:, :4].clone(), (height, width), batch["ratio_pad"][position])
    centred = ops.xyxy2xywh(boxes)
    seen = (centred[:, 2:] >= LEAST_PX).all(dim=1)  # what was found in the grey margin ends as a line at the edge
    shares = centred / torch.tensor([width, height, width, height], device=boxes.device)
    found = torch.cat([rows[:, 5:6], shares, rows[:, 4:5]], dim=1)[seen]
    return np.asarray(found.cpu().numpy(), dtype=np.float64)
