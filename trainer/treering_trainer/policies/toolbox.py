"""What policies may ask of models and of the machinery around them; the facade around ultralytics implements it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from treering_trainer.dataset import Sample

if TYPE_CHECKING:
    import torch
    from torch import nn

Boxes = NDArray[np.float64]


@dataclass(frozen=True)
class Glance:
    """All that one look of a model at samples gives.

    Args:
        images: (samples, features) one descriptor per image, as `Detector.embed` gives it.
        boxes: (true boxes, features) one descriptor per true box, sample after sample in the order of their boxes.
        found: per sample what the model detects, as `Detector.detect` gives it.
    """

    images: Boxes
    boxes: Boxes
    found: tuple[Boxes, ...]

    @classmethod
    def joined(cls, parts: Sequence[Glance]) -> Glance:
        """Several looks of one model, one after the other."""
        seen = [part for part in parts if len(part.images)]
        if not seen:
            return cls(np.zeros((0, 0)), np.zeros((0, 0)), ())
        return cls(
            images=np.concatenate([part.images for part in seen]),
            boxes=np.concatenate([part.boxes for part in seen]),
            found=tuple(rows for part in seen for rows in part.found),
        )


class Detector(Protocol):
    """What a policy may ask of a model: the facade around ultralytics implements it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in head order."""

    def detect(
        self, samples: Sequence[Sample], *, confidence: float, overlap: float, mirror: bool = False
    ) -> list[Boxes]:
        """Per sample (n, 6): class index, centre x, centre y, width, height (shares of the image), confidence."""

    def embed(self, samples: Sequence[Sample]) -> Boxes:
        """(samples, features): one global descriptor per image, from the end of the backbone."""

    def glance(self, samples: Sequence[Sample], *, confidence: float, overlap: float) -> Glance:
        """Descriptors of images and true boxes, and detections, from one pass."""

    @property
    def network(self) -> nn.Module:
        """The network itself, in evaluation mode on its device."""


@dataclass(frozen=True)
class Dense:
    """What one branch of a head says of every anchor of every image, before any decision.

    Args:
        scores: (images, classes, anchors) logits.
        sides: (images, 4, bins, anchors) logits of the distances from the anchor to left, top, right, bottom; where the
            head has no distributions (`reg_max` 1) one bin, the distance itself in strides.
        anchors: (anchors, 2) centre x, y as shares of the network's input.
        strides: (anchors,) pixels.
        features: what the head made it of, (images, channels, height, width) per level, in the order of the anchors.
    """

    scores: torch.Tensor
    sides: torch.Tensor
    anchors: torch.Tensor
    strides: torch.Tensor
    features: tuple[torch.Tensor, ...] = ()


class Toolbox(Protocol):
    """What a policy may ask of the machinery around models: the facade around ultralytics implements it."""

    def dense(self, model: nn.Module, predictions: Any) -> tuple[Dense, ...]:
        """What the output of `model` says, from training or evaluation mode; one entry per branch of the head."""

    def strides(self, model: nn.Module) -> tuple[int, ...]:
        """Pixels between neighbouring anchors, per level of the head."""

    def projectors(self, student: nn.Module, teacher: nn.Module, *, seed: int) -> nn.ModuleList:
        """Untrained maps from the student's features to the teacher's, one per level, as ultralytics makes them."""

    def feature_loss(self, projected: torch.Tensor, taught: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """ultralytics' distance of features, weighed by where the teacher sees something; a scalar.

        Args:
            projected: (images, channels, height, width), the student's; `taught` likewise, the teacher's.
            scores: (images, 1, height x width), 0..1.
        """

    def parts(self, model: nn.Module) -> Mapping[str, tuple[str, ...]]:
        """Layers of `backbone`, `neck` and `head`, as indices (`"4"`) below the model's list of layers, in order."""

    def class_parameters(self, model: nn.Module) -> tuple[str, ...]:
        """Names of the parameters whose first dimension counts classes."""

    def batches(
        self, samples: Sequence[Sample], names: Sequence[str], *, batch: int
    ) -> Iterator[tuple[torch.Tensor, Mapping[str, Any]]]:
        """Images as they are, (n, 3, height, width) in 0..1 on the device, each with what `loss` wants to know."""

    def loss(self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
        """The whole detection loss, mean per image, of a model in the mode that it is in; a scalar with gradients."""

    def class_inputs(
        self, model: nn.Module, images: torch.Tensor, batch: Mapping[str, Any]
    ) -> Iterator[tuple[nn.Conv2d, torch.Tensor, torch.Tensor]]:
        """Per branch and level: the layer whose rows are the classes, what it gets and what it should give.

        Yields:
            The layer, its input (images, anchors, channels), and the targets that the detector's own assigner gives
            (images, anchors, classes), 0..1.
        """

    def pictures(
        self, model: nn.Module, wanted: Sequence[Boxes], *, steps: int, seed: int
    ) -> Iterator[NDArray[np.uint8]]:
        """Pictures in which the model sees what is wanted, (height, width, 3) RGB each, by model inversion.

        Args:
            wanted: per picture (n, 5): class index of the model, centre x, centre y, width, height in shares.
            steps: of gradient descent on each.
        """

    def drawing_passes(self, steps: int) -> float:
        """Image passes that drawing one picture takes."""

    def map50(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """mAP50 by class name, 0..1, over the classes that the samples show; the model is left as it is."""

    def measure_statistics(self, model: nn.Module, samples: Sequence[Sample], *, held: Collection[str] = ()) -> None:
        """Measure BatchNorm's means and variances anew: the mean over the samples as they are; weights stay.

        Args:
            held: names of BatchNorm layers that keep theirs.
        """

    def detector(self, model: nn.Module) -> Detector:
        """A detector with a copy of `model` as it is now."""
