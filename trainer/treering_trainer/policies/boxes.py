"""Boxes of anchors and of objects: which anchor means which object, as a policy or the loss may ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from treering_trainer.dataset import SAME_OBJECT

if TYPE_CHECKING:
    from treering_trainer.policies.interface import Dense

AT_ONCE = 256
"""Objects that are held against all anchors together: with hundreds in an image one by one takes as long as a step."""
_TINY = 1e-7


def corners(dense: Dense, width: int, height: int) -> torch.Tensor:
    """(images, anchors, 4) x1, y1, x2, y2 in pixels of the network's input, which is so wide and high."""
    sides = dense.sides.float()
    if sides.shape[2] > 1:
        bins = torch.arange(sides.shape[2], device=sides.device, dtype=sides.dtype)
        distances = torch.einsum("nsba,b->nsa", sides.softmax(dim=2), bins)
    else:
        distances = sides[:, :, 0]
    distances = (distances * dense.strides).transpose(1, 2)
    centres = dense.anchors * dense.anchors.new_tensor([width, height])
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)


def labelled_objects(batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch's labels show: (objects,) the image that each is in; (objects, 4) corners in pixels."""
    height, width = batch["img"].shape[2:]
    boxes = batch["bboxes"]
    half = boxes[:, 2:4] / 2
    edges = torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1)
    return batch["batch_idx"].view(-1).long(), edges * edges.new_tensor([width, height, width, height])


def intersection_over_union(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """IoU of corners that broadcast, (..., 4); 0 where a box is turned inside out."""
    shared = _extent(torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:]))
    areas = _extent(one[..., :2], one[..., 2:]).prod(-1) + _extent(other[..., :2], other[..., 2:]).prod(-1)
    return shared.prod(-1) / (areas - shared.prod(-1) + _TINY)


def distance_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """DIoU, -1..1: IoU less the squared distance of the centres over that of the enclosing box's corners (Zheng, 2020).

    Args:
        one: corners, (..., 4); `other` likewise.
    """
    apart = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]).square().sum(-1) / 4
    around = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    return intersection_over_union(one, other) - apart / (around.square().sum(-1) + _TINY)


def on_objects(boxes: torch.Tensor, images: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
    """(images, anchors): whether an anchor's box is that of one of the objects.

    Args:
        boxes: (images, anchors, 4) corners.
        images: (objects,) the image that each object is in; `objects`: (objects, 4) corners.
    """
    counts = torch.zeros(boxes.shape[:2], dtype=torch.int32, device=boxes.device)
    for places, found in zip(images.split(AT_ONCE), objects.split(AT_ONCE), strict=True):
        same = intersection_over_union(boxes[places], found[:, None]) >= SAME_OBJECT
        counts.index_add_(0, places, same.to(counts.dtype))
    return counts > 0


def _extent(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    return (high - low).clamp(min=0)
