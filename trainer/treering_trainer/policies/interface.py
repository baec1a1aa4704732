"""The whole plug-in architecture of the policies.

A policy is a named optional block of `spec.policies`. The engine orders the active ones by what each declares and calls
them at the points drawn here; a policy overrides the methods it needs and never meets another policy or ultralytics.

    prepare    compose(data) ──────────────► data: memory mixed in, labels added
    train      frozen(model) → build(model)            before the optimizer exists
               for every epoch: epoch_start(model, epoch)
                   for every batch: train_mode(model) · losses(batch, predictions)
                                epoch_end(model, epoch)
               finish(model)                            on the weights that will be evaluated
    export     remember(candidates) ───────► memory of the next round
               relabel(items) ─────────────► the same items with more labels
    resume     state_dict() / load_state_dict(), once per epoch, beside the model's own state
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from treering_trainer.dataset import Sample
from treering_trainer.memory import Memory, MemoryItem

if TYPE_CHECKING:
    import torch
    from torch import nn

Boxes = NDArray[np.float64]


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


@dataclass(frozen=True)
class TrainingData:
    """What a round trains on; policies turn one value into the next.

    Args:
        names: the class union in head order; every sample's class indices point into it.
        new: the round's own images.
        new_classes_known: per new image, the classes its labels speak of (a delivery is labelled for its own classes).
        memory: remembered images mixed in beside them.
        batch_share: share of memory images in every batch, 0..1; None where they fall as they may.
    """

    names: tuple[str, ...]
    new: tuple[Sample, ...]
    new_classes_known: tuple[frozenset[str], ...]
    memory: tuple[Sample, ...] = ()
    batch_share: float | None = None
    merged_images: int = 0
    pseudo_labels: Mapping[str, int] = field(default_factory=dict)


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
    """

    strategy: str
    seed: int
    names: tuple[str, ...]
    old_names: tuple[str, ...] = ()
    teacher: Detector | None = None
    memory: Memory = field(default_factory=Memory)
    memory_samples: tuple[Sample, ...] = ()

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
        history_images: train images of every increment learned, this round's included.
    """

    items: tuple[MemoryItem, ...]
    samples: tuple[Sample, ...]
    history_images: int


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

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    def compose(self, data: TrainingData) -> TrainingData:
        """The data to train on, from the data so far."""
        return data

    def frozen(self, model: nn.Module) -> tuple[str, ...]:
        """Layers that do not learn: indices (`"4"`) or dotted names below one (`"22.cv2"`) of the model's layers."""
        del model
        return ()

    def build(self, model: nn.Module) -> None:
        """Change the model before the optimizer is made."""

    def train_mode(self, model: nn.Module) -> None:
        """Called whenever the model was set to train mode."""

    def epoch_start(self, model: nn.Module, epoch: int) -> None:
        """Before the first batch of an epoch, counted from 0."""

    def epoch_end(self, model: nn.Module, epoch: int) -> None:
        """After the last batch of an epoch, counted from 0."""

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        """Further loss terms by name, each a scalar per batch, added to the detector's own loss."""
        del batch, predictions
        return {}

    def finish(self, model: nn.Module) -> None:
        """Change the trained weights before they are evaluated."""

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
