"""Descriptors of images and of boxes, read off a network's own layers while it detects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torchvision.ops import roi_align

from treering_trainer.dataset import Sample
from treering_trainer.policies.freeze import backbone_length, layers_of
from treering_trainer.yolo.parts import head_of

_GRID = 3
"""Points a side at which a box's features are read before they are averaged."""


class Watch:
    """What two layers gave in the last pass: the backbone's end for images, the head's middle input for boxes."""

    def __init__(self, model: nn.Module) -> None:
        layers = layers_of(model)
        plain: Any = head_of(model)
        inputs = [int(place) for place in plain.f]
        self._layers = (layers[backbone_length(model) - 1], layers[inputs[len(inputs) // 2]])
        self._seen: list[torch.Tensor] = [torch.empty(0)] * 2

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Watch the layers for as long as the context lasts."""
        handles = [layer.register_forward_hook(self._keep(place)) for place, layer in enumerate(self._layers)]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def images(self, batch: dict[str, Any], width: int) -> torch.Tensor:
        """(images, features): the mean over each image, without the grey around it.

        Args:
            width: of the network's input, pixels.
        """
        scale = self._seen[0].shape[3] / width
        regions = [picture_region(batch, position, scale) for position in range(len(self._seen[0]))]
        pairs = zip(self._seen[0], regions, strict=True)
        return torch.stack([features[:, rows, columns].mean(dim=(1, 2)) for features, (rows, columns) in pairs])

    def boxes(self, position: int, corners: torch.Tensor, width: int) -> torch.Tensor:
        """(boxes, features) of one image.

        Args:
            corners: (boxes, 4) x1, y1, x2, y2 in pixels of the network's input.
            width: of the network's input, pixels.
        """
        features = self._seen[1][position : position + 1]
        if not len(corners):
            return features.new_zeros((0, features.shape[1]))
        scale = features.shape[3] / width
        read: torch.Tensor = roi_align(features, [corners.to(features)], _GRID, spatial_scale=scale, aligned=True)
        return read.mean(dim=(2, 3))

    def _keep(self, place: int) -> Any:
        def keep(_layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            self._seen[place] = output

        return keep


def picture_region(batch: dict[str, Any], position: int, scale: float) -> tuple[slice, slice]:
    """Rows and columns of a map of features that an image covers, those that it covers in part included.

    Args:
        scale: cells of the map per pixel of the network's input.
    """
    height, width = batch["ori_shape"][position]
    (gain, _), (left, top) = batch["ratio_pad"][position]
    starts, lengths = (top, left), (height * gain, width * gain)
    rows, columns = (
        slice(math.floor(start * scale), math.ceil((start + length) * scale))
        for start, length in zip(starts, lengths, strict=True)
    )
    return rows, columns


def input_corners(sample: Sample, batch: dict[str, Any], position: int) -> torch.Tensor:
    """A sample's true boxes, (n, 4) x1, y1, x2, y2 in pixels of the network's input."""
    height, width = batch["ori_shape"][position]
    (gain, _), (left, top) = batch["ratio_pad"][position]
    centres = torch.as_tensor(sample.boxes[:, 1:3] * [width, height] * gain + [left, top])
    half = torch.as_tensor(sample.boxes[:, 3:5] * [width, height] * gain / 2)
    return torch.cat([centres - half, centres + half], dim=1)
