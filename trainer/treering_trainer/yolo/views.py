"""One image seen twice, as it is and mirrored: what both views show is surer than what one does."""

from __future__ import annotations

import torch
from ultralytics.utils.metrics import box_iou

SAME_OBJECT = 0.55
"""IoU from which boxes of one class in two views are one object."""


def unmirror(rows: torch.Tensor, width: int) -> torch.Tensor:
    """Boxes found in a mirror image, in the frame of the image itself.

    Args:
        rows: (n, 6) x1, y1, x2, y2 in pixels, confidence, class.
        width: of the image, pixels.
    """
    left, right = width - rows[:, 2], width - rows[:, 0]
    return torch.stack([left, rows[:, 1], right, *rows[:, 3:].unbind(1)], dim=1)


def fuse_views(one: torch.Tensor, other: torch.Tensor, confidence: float) -> torch.Tensor:
    """Two views' boxes as one list: the surer view's box with the mean confidence of both, 0 where a view has none.

    Args:
        one: (n, 6) x1, y1, x2, y2, confidence, class; `other` likewise, (m, 6).
        confidence: least mean confidence.
    """
    rows = torch.cat([one, other])
    view = torch.cat([torch.zeros_like(one[:, 4]), torch.ones_like(other[:, 4])])
    order = rows[:, 4].argsort(descending=True, stable=True)
    rows, view = rows[order], view[order]
    same = (box_iou(rows[:, :4], rows[:, :4]) > SAME_OBJECT) & (rows[:, 5][:, None] == rows[:, 5][None])
    kept, means = _mean_confidences(same.tolist(), view.tolist(), rows[:, 4].tolist())
    fused = rows[kept]
    fused[:, 4] = torch.tensor(means, dtype=rows.dtype, device=rows.device)
    return fused[fused[:, 4] >= confidence]


def _mean_confidences(
    same: list[list[bool]], view: list[float], confidences: list[float]
) -> tuple[list[int], list[float]]:
    """Of boxes by falling confidence: the first of every object, and the mean of it and the best of the other view."""
    taken = [False] * len(view)
    kept, means = [], []
    for index, confidence in enumerate(confidences):
        if taken[index]:
            continue
        again = [later for later in range(index + 1, len(view)) if same[index][later] and not taken[later]]
        for later in again:
            taken[later] = True
        opposite = [confidences[later] for later in again if view[later] != view[index]]
        kept.append(index)
        means.append((confidence + max(opposite, default=0.0)) / 2)
    return kept, means
