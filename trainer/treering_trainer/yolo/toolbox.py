"""What policies may ask of the machinery around models, in their own words: ultralytics' loss, heads and validator."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.tal import make_anchors

from treering_trainer.dataset import Sample, no_boxes
from treering_trainer.engine.stop import StopRequest
from treering_trainer.policies.freeze import backbone_length, layers_of
from treering_trainer.policies.interface import Boxes, Dense
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.evaluation import evaluate
from treering_trainer.yolo.features import feature_loss, make_projectors
from treering_trainer.yolo.head import forget_training
from treering_trainer.yolo.inversion import STEP_PASSES, draw_pictures
from treering_trainer.yolo.losses import PolicyLoss, criterion_parts, split_ignored
from treering_trainer.yolo.parts import class_branches, class_names, head_of, last_convolution
from treering_trainer.yolo.samples import reading_loader
from treering_trainer.yolo.statistics import measure_statistics

STRIDE = 32
"""Images are padded to a multiple of this many pixels."""
STATISTICS_BATCH = 16
"""Images that BatchNorm's statistics are measured over at a time, as many as a round's batch has by default."""
BRANCHES = ("one2many", "one2one")
"""Of heads that need no suppression (YOLO26, YOLOv10); all others have one."""


@dataclass(frozen=True)
class YoloToolbox:
    """The toolbox of a round.

    Args:
        image_size: side of the network's input, pixels.
        device: as torch names it.
        workers: processes that load images.
        stop: heeded between batches; what was begun here is begun anew by the next attempt.
    """

    image_size: int
    device: str
    workers: int = 0
    stop: StopRequest = field(default_factory=StopRequest)

    def dense(self, model: nn.Module, predictions: Any) -> tuple[Dense, ...]:
        """What the output of `model` says, from training or evaluation mode; one entry per branch of the head."""
        raw = predictions[1] if isinstance(predictions, tuple) else predictions
        branches = [raw[name] for name in BRANCHES] if BRANCHES[0] in raw else [raw]
        return tuple(_dense(model, branch) for branch in branches)

    def strides(self, model: nn.Module) -> tuple[int, ...]:
        """Pixels between neighbouring anchors, per level of the head."""
        return tuple(int(stride) for stride in head_of(model).stride.tolist())

    def projectors(self, student: nn.Module, teacher: nn.Module, *, seed: int) -> nn.ModuleList:
        """Untrained maps from the student's features to the teacher's, one per level, as ultralytics makes them."""
        return make_projectors(cast("DetectionModel", student), cast("DetectionModel", teacher), seed=seed)

    def feature_loss(self, projected: torch.Tensor, taught: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """ultralytics' distance of features, weighed by where the teacher sees something; a scalar."""
        return feature_loss(projected, taught, scores)

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
            self.stop.check("train")
            placed = {key: value.to(self.device) if torch.is_tensor(value) else value for key, value in found.items()}
            images = placed["img"].float() / 255
            yield images, {**placed, "img": images}

    def loss(self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
        """The whole detection loss, mean per image, of a model in the mode that it is in; a scalar with gradients."""
        network = cast("DetectionModel", model)
        # Anchors that a detection left there can't take part in a gradient
        head_of(network).shape = None
        criterion = PolicyLoss(self._criterion(network), (), network, self)  # heeds boxes that mean "ignore here"
        total, _ = criterion(network(images), dict(batch))
        return total / images.shape[0]

    def class_inputs(
        self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]
    ) -> Iterator[tuple[nn.Conv2d, torch.Tensor, torch.Tensor]]:
        """Per branch and level: the layer whose rows are the classes, what it gets and what it should give.

        Yields:
            The layer, its input (images, anchors, channels), and the targets that the detector's own assigner gives
            (images, anchors, classes), 0..1.
        """
        layers = [[last_convolution(level) for level in branch] for branch in class_branches(model)]
        inputs: dict[nn.Conv2d, torch.Tensor] = {}

        def take(layer: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            inputs[cast("nn.Conv2d", layer)] = arguments[0].detach().flatten(2).transpose(1, 2)

        handles = [layer.register_forward_pre_hook(take) for branch in layers for layer in branch]
        try:
            wanted = self._targets(model, images, batch)
        finally:
            for handle in handles:
                handle.remove()
        for branch, targets in zip(layers, wanted, strict=True):
            sizes = [inputs[layer].shape[1] for layer in branch]
            for layer, part in zip(branch, targets.split(sizes, dim=1), strict=True):
                yield layer, inputs[layer], part

    def pictures(
        self, model: nn.Module, wanted: Sequence[Boxes], *, steps: int, seed: int
    ) -> Iterator[NDArray[np.uint8]]:
        """Pictures in which the model sees what is wanted, (height, width, 3) RGB each, by model inversion.

        Args:
            wanted: per picture (n, 5): class index of the model, centre x, centre y, width, height in shares.
            steps: of gradient descent on each.
        """

        def loss(images: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
            self.stop.check("prepare")
            return self.loss(model, images, batch)

        return draw_pictures(model, loss, wanted, side=self.image_size, steps=steps, seed=seed, device=self.device)

    def drawing_passes(self, steps: int) -> float:
        """Image passes that drawing one picture takes."""
        return steps * STEP_PASSES

    def map50(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """mAP50 by class name, 0..1, over the classes that the samples show; the model is left as it is."""
        told = [replace(sample, ignored=no_boxes()) for sample in samples]  # they are no objects
        if not any(len(sample.boxes) for sample in told):
            return {}
        self.stop.check("train")
        with tempfile.TemporaryDirectory() as folder:
            score, _ = evaluate(self.detector(model), told, name="probe", kind="val", folder=Path(folder))
        return {name: found.map50 for name, found in score.classes.items()}

    def measure_statistics(self, model: nn.Module, samples: Sequence[Sample], *, held: Collection[str] = ()) -> None:
        """Measure BatchNorm's means and variances anew: the mean over the samples as they are; weights stay.

        Args:
            held: names of BatchNorm layers that keep theirs.
        """
        names = class_names(cast("DetectionModel", model))
        batches = self.batches(samples, names, batch=STATISTICS_BATCH)
        measure_statistics(model, (images for images, _ in batches), held)

    def detector(self, model: nn.Module) -> YoloDetector:
        """A detector with a copy of `model` as it is now."""
        network = copy.deepcopy(cast("DetectionModel", model)).float().eval()
        forget_training(network)
        return YoloDetector(network, self.image_size, self.device, workers=self.workers)

    def _targets(self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]) -> list[torch.Tensor]:
        """Per branch of the head, (images, anchors, classes)."""
        network = cast("DetectionModel", model)
        criterion, taken = self._criterion(network), list[torch.Tensor]()

        def take(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            taken.append(targets)
            return nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")

        for part in criterion_parts(criterion):
            part.bce = take
        objects, _ = split_ignored(dict(batch), len(class_names(network)))
        criterion(network(images), objects)
        return taken

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
        features=tuple(features),
    )
