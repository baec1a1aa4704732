"""What "auto" means: turns `spec.training` into an object in which nothing is automatic any more.

Called by the trainer once it knows what kind of round it is. The only place with default numbers of training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from treering_api.training import Training


@dataclass(frozen=True)
class _Defaults:
    """Defaults of one kind of round.

    Args:
        epochs: passes over the round's images, at least.
        steps: optimizer steps that it takes to learn them, however few they are.
        steps_a_class: more of them for each new class after the first.
        most_epochs: where steps would ask for more, this many passes are enough.
        learning_rate: AdamW's peak for this batch.
        batch: images per step.
        cosine: whether it falls along a cosine.
        patient_share: share of the epochs without a better score after which training stops early; None: never.
        overrides: of ultralytics' own defaults, such as its augmentation; the user's win.
    """

    epochs: int
    learning_rate: float
    batch: int = 16
    steps: int = 0
    steps_a_class: int = 0
    most_epochs: int = 10_000
    cosine: bool = False
    patient_share: float | None = None
    overrides: Mapping[str, bool | int | float | str] = field(default_factory=dict)


# One optimizer step per batch. Measured by bench/retention (its LOG.md has every number). A small delivery needs
# more passes: what a head learns is bound by steps, not by images; so batches are small after the first round, and
# each new class takes some more steps. Mosaic is off in incremental rounds: in so few epochs a picture that is cut up
# four ways is one picture less seen whole. From scratch: ultralytics' own 100 epochs.
_WHOLE_PICTURES = {"mosaic": 0.0}
_FROM_SCRATCH = _Defaults(epochs=100, learning_rate=1e-3)
_FULL = _Defaults(epochs=20, learning_rate=1e-3, steps=240, most_epochs=40)
_NEW_CLASSES = _Defaults(
    epochs=6,
    learning_rate=2e-3,
    batch=8,
    steps=115,
    steps_a_class=50,
    most_epochs=20,
    patient_share=0.25,
    overrides=_WHOLE_PICTURES,
)
# Pseudo-labels alone hold the old classes then (cards: at the full rate they lost 7 points).
_NOTHING_REMEMBERED = replace(_NEW_CLASSES, learning_rate=1e-3)
_MORE_OF_THE_SAME = _Defaults(
    epochs=8,
    learning_rate=3e-4,
    batch=8,
    steps=60,
    most_epochs=10,
    patient_share=0.25,
    overrides=_WHOLE_PICTURES,
)
# Early stopping also means that the best epoch is kept, not the last. On a val set of a few images, mAP goes up and
# down by points from epoch to epoch, by chance: then it would pick the luckiest epoch. A full round starts far from
# where it ends and is what is fallen back on: it is never cut short unless the user says so. New rows start fitted, and
# a rising rate makes a model worse before it is better: the epochs of the warm-up come on top of the patience.
_LEAST_VAL_IMAGES = 20
_LEAST_PATIENCE = 3
# SGD: ultralytics' lr0 is 0.01 for SGD, ten times the rate above.
_OPTIMIZER_FACTOR = {"AdamW": 1.0, "Adam": 1.0, "SGD": 10.0}
# The rate grows with the batch: in proportion for SGD (Goyal et al. 2017), with its square root where steps are divided
# by the gradients' own size (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms").
_BATCH_POWER = {"AdamW": 0.5, "Adam": 0.5, "SGD": 1.0}
_MOST_WORKERS = 8  # ultralytics' own default; more seldom help


@dataclass(frozen=True)
class ResolvedTraining:
    """`Training` without any "auto"; the fields mean the same."""

    epochs: int
    batch: int
    learning_rate: float
    final_learning_rate_share: float
    warmup_epochs: float
    cosine: bool
    patience: int
    optimizer: Literal["AdamW", "Adam", "SGD"]
    optimizer_state: Literal["fresh", "keep"]
    precision: Literal["fp32", "fp16", "bf16"]
    seed: int
    workers: int
    overrides: dict[str, bool | int | float | str]


def resolve_training(
    training: Training,
    *,
    strategy: Literal["incremental", "full"],
    new_classes: int,
    from_scratch: bool,
    images: int,
    remembers: bool = True,
    val_images: int = 0,
    gpu: bool = False,
    cpus: int = 2,
    processes: int = 1,
) -> ResolvedTraining:
    """Choose what the user left open.

    Args:
        training: what the user said.
        strategy: how this round learns; a line's first round counts as full.
        new_classes: how many classes the round brings that the line does not know.
        from_scratch: whether the round starts from an architecture without weights.
        images: that an epoch shows, new and remembered ones, at least 1.
        remembers: whether some of them are remembered ones; without, new classes are learned at half the rate.
        val_images: images of the increments' val sets, on which early stopping would look.
        gpu: whether the round runs on a GPU; decides the precision.
        cpus: processors that may be used, at least 1; decides the loader's workers.
        processes: that train together, at least 1, and share every batch evenly.
    """
    defaults = _defaults(strategy, from_scratch, brings=new_classes > 0, remembers=remembers)
    optimizer: Literal["AdamW", "Adam", "SGD"] = "AdamW" if training.optimizer == "auto" else training.optimizer
    precision: Literal["fp32", "fp16", "bf16"] = "fp16" if gpu else "fp32"
    batch = math.ceil(defaults.batch / processes) * processes if training.batch == "auto" else training.batch
    larger = (batch / defaults.batch) ** _BATCH_POWER[optimizer]
    scaled = defaults.learning_rate * _OPTIMIZER_FACTOR[optimizer] * larger
    epochs = _epochs(defaults, images, batch, new_classes) if training.epochs == "auto" else training.epochs
    warmup = min(training.warmup_epochs, float(epochs))
    return ResolvedTraining(
        epochs=epochs,
        batch=batch,
        learning_rate=scaled if training.learning_rate is None else training.learning_rate,
        final_learning_rate_share=training.final_learning_rate_share,
        warmup_epochs=warmup,
        cosine=defaults.cosine if training.cosine is None else training.cosine,
        patience=_patience(defaults, epochs, warmup, val_images) if training.patience == "auto" else training.patience,
        optimizer=optimizer,
        optimizer_state=training.optimizer_state,
        precision=precision if training.precision == "auto" else training.precision,
        seed=training.seed,
        workers=min(cpus, _MOST_WORKERS) if training.workers == "auto" else training.workers,
        overrides={**defaults.overrides, **training.overrides},
    )


def _epochs(defaults: _Defaults, images: int, batch: int, new_classes: int) -> int:
    steps = defaults.steps + defaults.steps_a_class * max(new_classes - 1, 0)
    enough = math.ceil(steps / math.ceil(images / batch))
    return max(defaults.epochs, min(enough, defaults.most_epochs))


def _patience(defaults: _Defaults, epochs: int, warmup_epochs: float, val_images: int) -> int:
    if defaults.patient_share is None or val_images < _LEAST_VAL_IMAGES:
        return 0
    return max(_LEAST_PATIENCE, int(defaults.patient_share * epochs)) + math.ceil(warmup_epochs)


def _defaults(strategy: str, from_scratch: bool, *, brings: bool, remembers: bool) -> _Defaults:
    if from_scratch:
        return _FROM_SCRATCH
    if strategy == "full":
        return _FULL
    if not brings:
        return _MORE_OF_THE_SAME
    return _NEW_CLASSES if remembers else _NOTHING_REMEMBERED
