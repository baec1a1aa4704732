"""ultralytics' own feature distillation (PR #24894) in parts: its maps between two models' features, and its loss.

Its wrapper around teacher and student is taken apart, because it hooks itself into both models, and because what it
would publish, average and resume is the wrapper. Called through the toolbox.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.distill_model import DistillationModel
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG

from treering_trainer.yolo.head import forget_training

PROBE_PX = 64
"""Side of the black image that tells how many channels each level has."""


def make_projectors(student: DetectionModel, teacher: DetectionModel, *, seed: int) -> nn.ModuleList:
    """Two 1x1 convolutions with a ReLU between them per level, untrained, on the student's device.

    Args:
        seed: of their weights; other random numbers go on as if nothing had been drawn.
    """
    device = next(student.parameters()).device
    models: list[DetectionModel] = []
    for model in (teacher, student):
        bare = copy.deepcopy(model).cpu().float()
        forget_training(bare)
        plain: Any = bare
        plain.args = get_cfg(overrides={"imgsz": PROBE_PX})
        models.append(bare)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projectors = DistillationModel(*models).projector
    return projectors.to(device)


def feature_loss(projected: torch.Tensor, taught: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """ultralytics' `loss_sl2` times its default gain `dis`: the mean squared distance, weighed by scores; a scalar.

    Args:
        projected: (images, channels, height, width), the student's features seen by a projector.
        taught: the same shape, the teacher's.
        scores: (images, 1, height x width), 0..1, where the teacher sees something.
    """
    found = DistillationModel.loss_sl2(cast("Any", None), projected, taught, 0, (scores,))  # it uses nothing of itself
    return found * float(DEFAULT_CFG.dis)
