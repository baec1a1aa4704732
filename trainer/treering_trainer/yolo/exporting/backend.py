"""A model file of any format as a network that our detector, and ultralytics' validator, can ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from ultralytics.nn.autobackend import AutoBackend

from treering_trainer.yolo.types import DetectionModel


class Backend(nn.Module):
    """Runs a format by ultralytics' own backend, one square picture at a time, as it was made for.

    Attributes:
        names: class names by index.
    """

    stride: Tensor

    def __init__(self, path: Path, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)
        backend = AutoBackend(str(path), device=self.device, fuse=False, verbose=False)
        self._backend = [backend]  # in a list: it is no part of this module, and some can't be copied
        plain: Any = backend
        self.names: dict[int, str] = dict(plain.names)
        self.end2end = bool(getattr(plain, "end2end", False))
        self.task = "detect"
        self.precision = torch.float16 if getattr(plain, "fp16", False) else torch.float32
        self.register_buffer("stride", torch.tensor([float(plain.stride)]), persistent=False)
        self.eval()

    def __deepcopy__(self, memo: object) -> Backend:
        """Itself: a validator copies what it asks, and sessions of runtimes can't be copied."""
        return self

    def as_model(self) -> DetectionModel:
        """For whoever asks for one of ultralytics': it answers alike."""
        return cast("DetectionModel", self)

    def forward(self, images: Tensor) -> Tensor:
        """(images, 4 + classes, anchors), or (images, boxes, 6) where the format suppresses itself."""
        return torch.cat([self._one(image[None]) for image in images.to(self.device)])

    def _one(self, image: Tensor) -> Tensor:
        output = self._backend[0](image.to(self.precision))
        first = output[0] if isinstance(output, list | tuple) else output
        return torch.as_tensor(first).float()
