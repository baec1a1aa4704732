"""The whole plug-in architecture of the policies.

A policy is a named optional block of `spec.policies`. The engine orders the active ones by what each declares and calls
them at the points drawn here; a policy overrides the methods it needs and never meets another policy or ultralytics.

    prepare    compose(data) ──────────────► data: memory mixed in, labels added
    train      build(model) → frozen(model) → phases(model) → start(model, shown)   before the optimizer exists
               warm_start(model, shown)                       the same, once; not where a training goes on
               for every epoch: epoch_start(model, epoch)
                   for every batch: train_mode(model) · class_weights(batch, ...) · losses(batch, predictions)
                                epoch_end(model, epoch)
               finish(model, shown)                     on the weights that will be evaluated
               keep(model, shown) ─────► tensors that the next round's `situation.kept` has
               account() ──────────────► what all that took, and what was measured and chosen
    export     remember(candidates) ───────► memory of the next round
               relabel(items) ─────────────► the same items with more labels
    resume     state_dict() / load_state_dict(), once per epoch, beside the model's own state
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from treering_trainer.dataset import Sample
from treering_trainer.memory import Memory, MemoryItem
from treering_trainer.records import Threshold

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

    def map50(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """mAP50 by class name, 0..1, over the classes that the samples show; the model is left as it is."""

    def measure_statistics(self, model: nn.Module, samples: Sequence[Sample], *, held: Collection[str] = ()) -> None:
        """Measure BatchNorm's means and variances anew: the mean over the samples as they are; weights stay.

        Args:
            held: names of BatchNorm layers that keep theirs.
        """

    def detector(self, model: nn.Module) -> Detector:
        """A detector with a copy of `model` as it is now."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a training with settings of its own.

    Args:
        until: share of the epochs at which it ends, above 0, at most 1; the last one's is 1.
        frozen: layers that do not learn in it, as `Policy.frozen` gives them.
        learning_rate_factor: times the schedule's learning rate.
        batch_factor: times the round's batch.
        weight_decay_factor: times the round's weight decay.
    """

    until: float
    frozen: tuple[str, ...] = ()
    learning_rate_factor: float = 1.0
    batch_factor: int = 1
    weight_decay_factor: float = 1.0


@dataclass(frozen=True)
class Shown:
    """What a training showed: class indices into the round's names.

    Args:
        new: the round's own images.
        memory: remembered ones.
        val: the increments' val sets, the round's and earlier ones'; never trained on.
        trained: whether weights were trained at all; see `Policy.trains`.
        fitted: classes whose rows of the head fit the weights to start from; others have new ones.
        showings: how often each image is shown in an epoch, on average, new ones first, then memory.
    """

    new: tuple[Sample, ...]
    memory: tuple[Sample, ...] = ()
    val: tuple[Sample, ...] = ()
    trained: bool = True
    showings: tuple[float, ...] = ()
    fitted: tuple[str, ...] = ()

    def some(self, most: int, seed: int) -> tuple[Sample, ...]:
        """At most `most` new and remembered images, mixed, each as likely as any other; the same for a seed."""
        return draw((*self.new, *self.memory), most, seed)


def draw(samples: Sequence[Sample], most: int, seed: int) -> tuple[Sample, ...]:
    """At most `most` of the samples in an order of chance, the same for a seed."""
    order = np.random.default_rng(seed).permutation(len(samples))
    return tuple(samples[int(index)] for index in order[:most])


@dataclass(frozen=True)
class Account:
    """What a policy's work in the train stage took, over all attempts that count, and what came of it.

    Args:
        forward_passes: images that a network saw forward only, about a third of a training's pass each.
        image_passes: images with gradients beside the training's own batches.
        chosen: what was measured and chosen, by name.
        remarks: what a person should know of it, in whole sentences.
    """

    forward_passes: int = 0
    image_passes: int = 0
    chosen: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingData:
    """What a round trains on; policies turn one value into the next.

    Args:
        names: the class union in head order; every sample's class indices point into it.
        new: the round's own images.
        new_classes_known: per new image, the classes its labels speak of (a delivery is labelled for its own classes).
        memory: remembered images mixed in beside them.
        batch_share: share of memory images in every batch, 0..1; None where they fall as they may.
        repeats: how often each image is shown in an epoch, new ones first, then memory: at least 0, and above 0
            somewhere in each part; empty: once. With a batch share, only the proportion of memory images counts.
        pseudo_labels: boxes that the published model added to new images, by class.
        unsure: boxes in which it was neither sure enough nor too faint: nothing is learned there; by class.
        thresholds: confidences from which such boxes are objects, by class, and what they rest on.
    """

    names: tuple[str, ...]
    new: tuple[Sample, ...]
    new_classes_known: tuple[frozenset[str], ...]
    memory: tuple[Sample, ...] = ()
    batch_share: float | None = None
    repeats: tuple[float, ...] = ()
    merged_images: int = 0
    pseudo_labels: Mapping[str, int] = field(default_factory=dict)
    unsure: Mapping[str, int] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """What a policy knows about its round.

    Args:
        strategy: `incremental` or `full`; most policies act only in incremental rounds.
        names: the class union in head order.
        old_names: classes of the published model, a prefix of `names`; empty in a line's first round.
        teacher: the published model, None in a line's first round.
        memory: what the line remembers; empty in a line's first round.
        memory_samples: the same with its images on this machine, class indices into `names`.
        val, val_samples: likewise, the val sets of earlier increments; never trained on.
        teachers: further models by the URI in the spec; empty where they are not needed.
        kept: by policy, what it kept in the round that made the published model.
        toolbox: the machinery around models; None where only data is looked at.
    """

    strategy: str
    seed: int
    names: tuple[str, ...]
    old_names: tuple[str, ...] = ()
    teacher: Detector | None = None
    memory: Memory = field(default_factory=Memory)
    memory_samples: tuple[Sample, ...] = ()
    val: Memory = field(default_factory=Memory)
    val_samples: tuple[Sample, ...] = ()
    teachers: Mapping[str, Detector] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    toolbox: Toolbox | None = None

    @property
    def incremental(self) -> bool:
        """Whether the round builds on a published model."""
        return self.strategy == "incremental"


@dataclass(frozen=True)
class Keepsakes:
    """What may be remembered after a round: items with the samples they were made of.

    Args:
        items: candidates, one per image content.
        samples: the same images on this machine, class indices into the round's names.
        train_images: by increment learned, this round's included, how many train images it had.
        sizes_bytes: of each candidate's image file; needed where there is a budget in bytes.
    """

    items: tuple[MemoryItem, ...]
    samples: tuple[Sample, ...]
    train_images: Mapping[str, int]
    sizes_bytes: tuple[int, ...] = ()

    @property
    def history_images(self) -> int:
        """Train images of every increment learned."""
        return sum(self.train_images.values())


class Policy:
    """One way to learn or to remember. All hooks do nothing unless overridden."""

    name: ClassVar[str]
    """Key of the policy's block in `spec.policies`."""
    after: ClassVar[tuple[str, ...]] = ()
    """Policies that act before this one, where they are active."""
    conflicts: ClassVar[Mapping[str, str]] = {}
    """Policies that can't be active together with this one, and why, in words."""
    adds_loss: ClassVar[bool] = False
    """Whether `losses` is to be called for every batch."""
    weighs_classes: ClassVar[bool] = False
    """Whether `class_weights` is to be called for every batch."""
    works_after: ClassVar[bool] = False
    """Whether `finish` and `keep` may take minutes, and are told of."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    @property
    def trains(self) -> bool:
        """Whether weights are to be trained in this round; where one policy says no, only `finish` and `keep` come."""
        return True

    def fingerprint(self) -> str:
        """What decides what it does beside its settings; a training with another one is not resumed."""
        return ""

    def compose(self, data: TrainingData) -> TrainingData:
        """The data to train on, from the data so far."""
        return data

    def frozen(self, model: nn.Module) -> tuple[str, ...]:
        """Layers that do not learn: indices (`"4"`) or dotted names below one (`"22.cv2"`) of the model's layers."""
        del model
        return ()

    def build(self, model: nn.Module) -> None:
        """Change the model before the optimizer is made."""

    def warm_start(self, model: nn.Module, shown: Shown) -> None:
        """Change the weights that training starts from; the model is in evaluation mode."""
        del model, shown

    def phases(self, model: nn.Module) -> tuple[Phase, ...]:
        """Stretches of the training with settings of their own; empty where this policy has no say in it."""
        del model
        return ()

    def start(self, model: nn.Module, shown: Shown) -> None:
        """Learn what will be shown, before the optimizer is made; a resumed training says it again."""
        del model, shown

    def train_mode(self, model: nn.Module) -> None:
        """Called whenever the model was set to train mode."""

    def epoch_start(self, model: nn.Module, epoch: int) -> None:
        """Before the first batch of an epoch, counted from 0."""

    def epoch_end(self, model: nn.Module, epoch: int) -> None:
        """After the last batch of an epoch, counted from 0."""

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        """Further loss terms by name, each a scalar per batch, added to the detector's own loss.

        Args:
            batch: what ultralytics' loss is given; `steady` in it says whether these images look the same whenever they
                are shown, because nothing is augmented.
        """
        del batch, predictions
        return {}

    def class_weights(
        self, batch: Mapping[str, Any], logits: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor | None:
        """Weights of the class loss's elements, multiplied with those of other policies; None: all 1.

        Args:
            logits: (images, anchors, classes); a weight made of them is learned through, unless they are detached.
            targets: the same shape, 0..1: 0 for background.
        """
        del batch, logits, targets
        return None

    def finish(self, model: nn.Module, shown: Shown) -> None:
        """Change the trained weights before they are evaluated; the model is in evaluation mode."""
        del model, shown

    def keep(self, model: nn.Module, shown: Shown) -> Mapping[str, torch.Tensor]:
        """Tensors by name that the next round is to have, published beside the model; after `finish`."""
        del model, shown
        return {}

    def account(self) -> Account:
        """What the work since `build` took and brought; after `keep`."""
        return Account()

    def remember(self, keepsakes: Keepsakes, student: Detector) -> tuple[MemoryItem, ...] | None:
        """The memory of the next round, or None where this policy has no say in it."""
        del keepsakes, student
        return None

    def relabel(
        self, items: tuple[MemoryItem, ...], samples: Sequence[Sample], student: Detector
    ) -> tuple[MemoryItem, ...]:
        """The chosen memory with better labels; `samples` are the items' images on this machine, in the same order."""
        del samples, student
        return items

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values that a resumed round needs."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        del state
