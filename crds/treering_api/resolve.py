"""What "auto" means: turns `spec.training` into an object in which nothing is automatic any more.

Called by the trainer once it knows what kind of round it is. The only place with default numbers of training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treering_api.training import Training


@dataclass(frozen=True)
class _Defaults:
    """Defaults of one kind of round; the learning rate is AdamW's peak for a batch of 16."""

    epochs: int
    learning_rate: float


# One optimizer step per batch of 16. Tried on the cards data (yolov8n, 320 px, 3+3 classes; bench/README.md). A tenth
# is the usual advice for more of the same. From scratch: ultralytics' own 100 epochs.
_FROM_SCRATCH = _Defaults(epochs=100, learning_rate=1e-3)
_FULL = _Defaults(epochs=20, learning_rate=1e-3)
_NEW_CLASSES = _Defaults(epochs=14, learning_rate=1e-3)
_MORE_OF_THE_SAME = _Defaults(epochs=10, learning_rate=1e-4)
_REFERENCE_BATCH = 16
# SGD: ultralytics' lr0 is 0.01 for SGD, ten times the rate above.
_OPTIMIZER_FACTOR = {"AdamW": 1.0, "Adam": 1.0, "SGD": 10.0}
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
    precision: Literal["fp32", "fp16", "bf16"]
    seed: int
    workers: int
    overrides: dict[str, bool | int | float | str]


def resolve_training(
    training: Training,
    *,
    strategy: Literal["incremental", "full"],
    new_classes: bool,
    from_scratch: bool,
    gpu: bool = False,
    cpus: int = 2,
) -> ResolvedTraining:
    """Choose what the user left open.

    Args:
        training: what the user said.
        strategy: how this round learns; a line's first round counts as full.
        new_classes: whether the round brings classes that the line does not know.
        from_scratch: whether the round starts from an architecture without weights.
        gpu: whether the round runs on a GPU; decides the precision.
        cpus: processors that may be used, at least 1; decides the loader's workers.
    """
    defaults = _defaults(strategy, new_classes, from_scratch)
    optimizer: Literal["AdamW", "Adam", "SGD"] = "AdamW" if training.optimizer == "auto" else training.optimizer
    precision: Literal["fp32", "fp16", "bf16"] = "fp16" if gpu else "fp32"
    scaled = defaults.learning_rate * _OPTIMIZER_FACTOR[optimizer] * training.batch / _REFERENCE_BATCH
    epochs = defaults.epochs if training.epochs == "auto" else training.epochs
    return ResolvedTraining(
        epochs=epochs,
        batch=training.batch,
        learning_rate=scaled if training.learning_rate is None else training.learning_rate,
        final_learning_rate_share=training.final_learning_rate_share,
        warmup_epochs=min(training.warmup_epochs, float(epochs)),
        cosine=training.cosine,
        patience=training.patience,
        optimizer=optimizer,
        precision=precision if training.precision == "auto" else training.precision,
        seed=training.seed,
        workers=min(cpus, _MOST_WORKERS) if training.workers == "auto" else training.workers,
        overrides=dict(training.overrides),
    )


def _defaults(strategy: str, new_classes: bool, from_scratch: bool) -> _Defaults:
    if from_scratch:
        return _FROM_SCRATCH
    if strategy == "full":
        return _FULL
    return _NEW_CLASSES if new_classes else _MORE_OF_THE_SAME
