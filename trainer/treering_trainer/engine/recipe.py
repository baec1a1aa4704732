"""Everything one training needs, as one frozen value: made by the train stage, run by `yolo.training`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from treering_api import ResolvedTraining
from treering_trainer.dataset import Sample
from treering_trainer.engine.moments import OptimizerState
from treering_trainer.engine.stop import StopRequest
from treering_trainer.policies.interface import Policy
from treering_trainer.records import EpochRecord


@dataclass(frozen=True)
class Listener:
    """Who hears of a training's progress."""

    batch: Callable[[int, int], None]
    """Image passes done and in all."""
    epoch: Callable[[EpochRecord], None]
    finish: Callable[[str], None] = lambda _policy: None
    """A policy that now works on the trained weights, which may take minutes."""


@dataclass(frozen=True)
class Recipe:
    """One training.

    Args:
        names: class names in head order.
        new: the round's own images, class indices into `names`.
        memory: remembered images mixed in.
        batch_share: share of memory images in every batch; None where they fall as they may.
        settings: without any "auto".
        image_size: side of the square network input, pixels.
        device: as torch names it, `cpu` or `cuda:0`.
        folder: where checkpoints go; a training found there goes on.
        policies: in the order they act.
        repeats: how often each image is shown in an epoch, new ones first, then memory; empty: once.
        fitted: classes whose rows of the head fit the weights to start from; others have new ones.
        val: the increments' val sets, class indices into `names`; for policies that measure.
        optimizer: what the optimizer of the round before had gathered, to go on from; None: it begins afresh.
    """

    names: tuple[str, ...]
    new: tuple[Sample, ...]
    memory: tuple[Sample, ...]
    batch_share: float | None
    settings: ResolvedTraining
    image_size: int
    device: str
    folder: Path
    policies: tuple[Policy, ...]
    listener: Listener
    stop: StopRequest
    repeats: tuple[float, ...] = ()
    val: tuple[Sample, ...] = ()
    fitted: tuple[str, ...] = ()
    optimizer: OptimizerState | None = None
