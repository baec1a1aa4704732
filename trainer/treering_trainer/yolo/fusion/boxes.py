"""Several models' boxes of one picture made one set, by tensors alone: the same code runs in Python and in ONNX.

The library that fuses boxes (ensemble-boxes, by the author of weighted boxes fusion) works on NumPy arrays and can't
become part of a graph; it is the reference in the tests. For the graph, `fade` and `gather` are compiled by
TorchScript, which keeps their loops; ONNX has an operator for those.

Boxes are rows x1, y1, x2, y2 in pixels; scores are 0..1; classes and members are whole numbers.
"""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor

APART_PX = 1e4
"""By so much are boxes of different classes moved apart, so that one suppression serves all."""


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union, (n, m) of (n, 4) and (m, 4); 0 where both are empty."""
    left_top = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    right_bottom = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = (right_bottom - left_top).clamp(min=0)
    common = sides[:, :, 0] * sides[:, :, 1]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    other_area = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return common / (area[:, None] + other_area[None, :] - common).clamp(min=1e-9)


def strongest(boxes: Tensor, scores: Tensor, classes: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression within each class: places of the boxes that stay, by falling score."""
    apart = boxes + classes.to(boxes.dtype)[:, None] * APART_PX
    kept: Tensor = torchvision.ops.nms(apart, scores, overlap)
    return kept


def fade(boxes: Tensor, scores: Tensor, classes: Tensor, sigma: float) -> Tensor:
    """Soft-NMS (Bodla et al. 2017), Gaussian: every box's score after the stronger ones of its class had their say."""
    found = scores.clone()
    waiting = torch.ones_like(scores)
    overlap = overlaps(boxes, boxes)
    same = (classes[:, None] == classes[None, :]).to(scores.dtype)
    fading = torch.exp(-overlap * overlap / sigma)
    for _ in range(boxes.shape[0]):
        best = (found * waiting - (1 - waiting)).argmax(0)
        waiting = waiting * (torch.arange(boxes.shape[0], device=boxes.device) != best).to(scores.dtype)
        weight = 1 - same[best] * waiting * (1 - fading[best])
        found = found * weight
    return found


def gather(
    boxes: Tensor, scores: Tensor, classes: Tensor, members: Tensor, weights: Tensor, overlap: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weighted boxes fusion (Solovyev et al. 2021): clusters of boxes of a class become their weighted mean.

    Unlike there, a member speaks once in a cluster: two boxes of one member are two objects, as its own suppression
    found, and what a single member knows stays as it is.

    Args:
        scores: boxes come by falling score times weight.
        members: which of the members each box is of.
        weights: of the members, above 0.
        overlap: a box joins the cluster whose mean it overlaps most, and more than this.

    Returns:
        By cluster: (n, 4) mean boxes, (n,) weighted mean scores, (n,) sums of weights, (n,) the row of its first box.
        Rows beyond the last cluster have the weight 0.
    """
    count = boxes.shape[0]
    places = torch.arange(count, device=boxes.device)
    means = torch.zeros_like(boxes)
    score_sums = torch.zeros_like(scores)
    weight_sums = torch.zeros_like(scores)
    firsts = torch.zeros_like(places)
    kinds = torch.full_like(classes, -1)
    used = torch.zeros_like(places[:1])
    spoken = torch.zeros((count, weights.shape[0]), device=boxes.device)
    for row in range(count):
        box = boxes[row]
        found = overlaps(means, box[None])[:, 0]
        speaker = (torch.arange(weights.shape[0], device=boxes.device) == members[row]).to(scores.dtype)
        weight = (weights * speaker).sum()
        open_to_it = (kinds == classes[row]) & ((spoken * speaker[None, :]).sum(1) == 0)
        found = torch.where(open_to_it, found, torch.zeros_like(found))
        best = found.argmax(0)
        joins = found[best] > overlap
        target = torch.where(joins, best, used)
        mine = (places == target).to(scores.dtype)
        said = mine * scores[row] * weight
        total = score_sums + said
        moved = (means * score_sums[:, None] + said[:, None] * box) / total.clamp(min=1e-12)[:, None]
        means = torch.where(mine[:, None] > 0, moved, means)
        score_sums = total
        weight_sums = weight_sums + mine * weight
        firsts = torch.where((mine > 0) & ~joins, torch.full_like(firsts, row), firsts)
        kinds = torch.where(mine > 0, classes[row], kinds)
        spoken = torch.maximum(spoken, mine[:, None] * speaker[None, :])
        used = used + torch.where(joins, torch.zeros_like(used), torch.ones_like(used))
    return means, score_sums / weight_sums.clamp(min=1e-12), weight_sums, firsts


def yield_to_rivals(
    boxes: Tensor, scores: Tensor, classes: Tensor, members: Tensor, knows: Tensor, overlap: float
) -> Tensor:
    """Scores after competition between what members say that have never learned each other's classes.

    Where a surer box of a class that this box's member does not know lies on it, the object is this box's only if it is
    not that one: its score is multiplied with one minus the rival's. A member that knows both classes has compared
    them itself.

    Args:
        members: of each box, the member that is surest of it.
        knows: (members, classes), whether a member knows a class.
    """
    found = overlaps(boxes, boxes) >= overlap
    unknown = ~knows[members][:, classes]  # (box, rival)
    surer = scores[None, :] > scores[:, None]
    rivals = torch.where(found & unknown & surer, scores[None, :], torch.zeros_like(scores)[None, :])
    return scores * (1 - rivals.max(dim=1).values)
