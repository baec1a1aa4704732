"""What policies may ask of the machinery around models, in their own words: ultralytics' loss, heads and validator."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.tal import make_anchors

from treering_trainer.dataset import Sample
from treering_trainer.policies.freeze import backbone_length, layers_of
from treering_trainer.policies.interface import Dense
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.evaluation import evaluate
from treering_trainer.yolo.head import forget_training
from treering_trainer.yolo.losses import PolicyLoss
from treering_trainer.yolo.parts import class_branches, head_of, last_convolution
from treering_trainer.yolo.samples import reading_loader

STRIDE = 32
"""Images are padded to a multiple of this many pixels."""
BRANCHES = ("one2many", "one2one")
"""Of heads that need no suppression (YOLO26, YOLOv10); all others have one."""


@dataclass(frozen=True)
class YoloToolbox:
    """The toolbox of a round.

    Args:
        image_size: side of the network's input, pixels.
        device: as torch names it.
        workers: processes that load images.
    """

    image_size: int
    device: str
    workers: int = 0

    def dense(self, model: nn.Module, predictions: Any) -> tuple[Dense, ...]:
        """What the output of `model` says, from training or evaluation mode; one entry per branch of the head."""
        raw = predictions[1] if isinstance(predictions, tuple) else predictions
        branches = [raw[name] for name in BRANCHES] if BRANCHES[0] in raw else [raw]
        return tuple(_dense(model, branch) for branch in branches)

    def parts(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """Layers of `backbone`, `neck` and `head`, as indices below the model's list of layers, in order."""
        layers = [str(index) for index in range(len(layers_of(model)))]
        length = backbone_length(model)
        return {"backbone": tuple(layers[:length]), "neck": tuple(layers[length:-1]), "head": (layers[-1],)}

    def class_parameters(self, model: nn.Module) -> tuple[str, ...]:
        """Names of the parameters whose first dimension counts classes."""
        rows = {
            id(parameter)
            for branch in class_branches(model)
            for level in branch
            for parameter in last_convolution(level).parameters()
        }
        return tuple(name for name, parameter in model.named_parameters() if id(parameter) in rows)

    def batches(
        self, samples: Sequence[Sample], names: Sequence[str], *, batch: int
    ) -> Iterator[tuple[torch.Tensor, dict[str, Any]]]:
        """Images as they are, (n, 3, height, width) in 0..1 on the device, each with what `loss` wants to know."""
        if not samples:
            return
        loader = reading_loader(
            samples, names, image_size=self.image_size, batch=batch, stride=STRIDE, workers=self.workers
        )
        for found in loader:
            placed = {key: value.to(self.device) if torch.is_tensor(value) else value for key, value in found.items()}
            images = placed["img"].float() / 255
            yield images, {**placed, "img": images}

    def loss(self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
        """The whole detection loss, mean per image, of a model in the mode that it is in; a scalar with gradients."""
        network = cast("DetectionModel", model)
        criterion = PolicyLoss(self._criterion(network), (), network, self)  # blind where the labels are
        total, _ = criterion(network(images), dict(batch))
        return total / images.shape[0]

    def map50(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """mAP50 by class name, 0..1, over the classes that the samples show; the model is left as it is."""
        with tempfile.TemporaryDirectory() as folder:
            score, _ = evaluate(self.detector(model), samples, name="probe", kind="val", folder=Path(folder))
        return {name: found.map50 for name, found in score.classes.items()}

    def detector(self, model: nn.Module) -> YoloDetector:
        """A detector with a copy of `model` as it is now."""
        network = copy.deepcopy(cast("DetectionModel", model)).float().eval()
        forget_training(network)
        return YoloDetector(network, self.image_size, self.device, workers=self.workers)

    def _criterion(self, network: DetectionModel) -> Any:
        plain: Any = network
        had = getattr(plain, "args", None)
        plain.args = get_cfg()  # the gains: a loaded model has none, or those of another training
        try:
            return network.init_criterion()
        finally:
            plain.args = had


def _dense(model: nn.Module, branch: Mapping[str, Any]) -> Dense:
    scores, sides, features = branch["scores"], branch["boxes"], branch["feats"]
    strides = head_of(model).stride.float().to(scores.device)
    # Shapes only, in full precision: the features themselves may be halves, which can't tell neighbours apart
    shapes = [torch.zeros(1, device=scores.device).expand(1, 1, *level.shape[2:]) for level in features]
    points, per_anchor = make_anchors(shapes, strides, 0.5)
    height, width = (float(side) * float(strides[0]) for side in features[0].shape[2:])
    return Dense(
        scores=scores,
        sides=sides.view(sides.shape[0], 4, sides.shape[1] // 4, sides.shape[2]),
        anchors=points * per_anchor / points.new_tensor([width, height]),
        strides=per_anchor[:, 0],
    )
