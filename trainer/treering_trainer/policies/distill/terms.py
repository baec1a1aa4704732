"""What distillation costs, as pure functions on what two heads say of the same anchors.

After YOLO LwF (R. De Monte et al., 2025), with per-anchor weights that act (its code takes the mean first) and with
scales of its own: every term is a mean over the anchors that matter in an image, then over images, so neither the batch
nor the image size nor the number of classes moves it. Called by `policy`.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from treering_trainer.policies.boxes import distance_iou
from treering_trainer.policies.interface import Dense


def class_distance(student: torch.Tensor, teacher: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """(images, anchors): what it takes to tell the teacher's classes from the student's, summed over the classes.

    Binary cross entropy with the teacher's scores as targets, less the teacher's own entropy (Kullback-Leibler): the
    gradient is that of the cross entropy, and 0 means "the same".

    Args:
        student: (images, classes, anchors) logits of the classes that are taught; `teacher` likewise.
        shares: (classes,) how much each counts.
    """
    targets = teacher.sigmoid()
    entropies = functional.binary_cross_entropy_with_logits(teacher, targets, reduction="none")
    crossed = functional.binary_cross_entropy_with_logits(student, targets, reduction="none")
    return ((crossed - entropies) * shares[:, None]).sum(dim=1)


def side_distance(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """(images, anchors): mean over the four sides of the distance between two softened distributions.

    Kullback-Leibler times temperature squared, which keeps the gradients' scale (Hinton et al., 2015).

    Args:
        student: (images, 4, bins, anchors) logits; `teacher` likewise.
        temperature: above 0; the higher, the softer.
    """
    wanted = functional.log_softmax(teacher / temperature, dim=2)
    given = functional.log_softmax(student / temperature, dim=2)
    return functional.kl_div(given, wanted, reduction="none", log_target=True).sum(dim=2).mean(dim=1) * temperature**2


def box_distance(student: Dense, teacher: Dense, boxes: tuple[torch.Tensor, torch.Tensor], t: float) -> torch.Tensor:
    """(images, anchors): how far the student's boxes are from the teacher's.

    Distributions of the sides are compared where both heads have them; else the boxes, by 1 - DIoU.

    Args:
        boxes: the student's and the teacher's, (images, anchors, 4) corners in pixels.
        t: temperature of the distributions.
    """
    bins = student.sides.shape[2]
    if bins > 1 and bins == teacher.sides.shape[2]:
        return side_distance(student.sides.float(), teacher.sides.float(), t)
    return 1 - distance_iou(*boxes)


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean over images of the weighted mean over anchors; a scalar.

    Where an image's weights add up to less than one anchor, they are not blown up to one (as in ultralytics' own loss):
    an image on which the teacher sees nothing counts for little.

    Args:
        values: (images, anchors); `weights` likewise, at least 0.
    """
    return ((values * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)).mean()
