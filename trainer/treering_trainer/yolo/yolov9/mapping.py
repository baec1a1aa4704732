"""Tensors of an original YOLOv9 under ultralytics' names, the grouped box branch made dense."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from treering_trainer.foreign.yolov9 import GROUPS, Layout

GROUPED = (".1.conv.weight", ".2.weight")
"""The second and third convolution of each level of the box branch."""


def deploy_tensors(layout: Layout, source: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What ultralytics' model of the size gets; tensors of the auxiliary branch are left out.

    Args:
        source: tensors by the original's names.
    """
    found: dict[str, torch.Tensor] = {}
    for name, tensor in source.items():
        target = layout.target(name)
        if target is not None:
            box = target.startswith(f"model.{layout.target_head}.cv2.") and target.endswith(GROUPED)
            found[target] = densify(tensor, GROUPS) if box else tensor
    return found


def densify(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """A grouped weight (out, in / groups, height, width) as that of a dense convolution: zeros off the diagonal."""
    out, inner = weight.shape[:2]
    dense = weight.new_zeros(out, inner * groups, *weight.shape[2:])
    rows = out // groups
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        dense[part, group * inner : (group + 1) * inner] = weight[part]
    return dense
