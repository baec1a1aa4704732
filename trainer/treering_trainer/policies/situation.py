"""What policies are told and what they give: a round's situation, its data, what was shown, what may be remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from treering_trainer.dataset import Sample
from treering_trainer.memory import Memory, MemoryItem
from treering_trainer.policies.toolbox import Detector, Toolbox
from treering_trainer.records import Threshold

if TYPE_CHECKING:
    import torch


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
        drawn_images: of the memory images, the last so many were drawn by the old model.
        drawn_boxes: what it sees in them, by class.
        image_passes: what drawing them took.
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
    drawn_images: int = 0
    drawn_boxes: Mapping[str, int] = field(default_factory=dict)
    image_passes: int = 0

    @property
    def shown(self) -> int:
        """Images that an epoch shows, at least 1."""
        shown = sum(self.repeats) if self.repeats else len(self.new) + len(self.memory)
        return max(round(shown), 1)


@dataclass(frozen=True)
class DonorTeacher:
    """One of several models that are merged.

    Args:
        field: what names it in the spec.
        classes: that it teaches.
    """

    field: str
    detector: Detector
    classes: tuple[str, ...]


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
        donors: where models are merged, those that can be asked anchor by anchor; `teacher` is all of them together
            then, and speaks in boxes alone. None: nothing is merged.
        kept: by policy, what it kept in the round that made the published model.
        toolbox: the machinery around models; None where only data is looked at.
        folder: where a policy may leave pictures to train on, for as long as the round; None where none is trained.
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
    donors: tuple[DonorTeacher, ...] | None = None
    kept: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    toolbox: Toolbox | None = None
    folder: Path | None = None

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
