"""Running a recipe: ultralytics' own loop with our model, order of images, policies, checkpoints and stop.

What is ultralytics' stays ultralytics': loss, augmentation, optimizer, schedule, averaging, mixed precision, early
stopping. What is ours hangs on the methods that it offers for overriding, see `yolo.loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from ultralytics.engine import trainer as ultralytics_trainer
from ultralytics.nn.tasks import DetectionModel

from treering_api import BadSpecError, ResumableError
from treering_trainer.engine.checkpoint import fingerprint_of, load_checkpoint
from treering_trainer.engine.moments import OptimizerState, moments_of
from treering_trainer.engine.ranks import ALONE, Rank
from treering_trainer.engine.recipe import Recipe
from treering_trainer.engine.tally import Tally
from treering_trainer.records import EpochRecord
from treering_trainer.yolo.head import forget_training
from treering_trainer.yolo.loop import CHECKPOINT, TreeringTrainer, prepare_model, shown_in
from treering_trainer.yolo.threads import keep_threads

Validate = Callable[[DetectionModel], float]


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Args:
        model: the averaged weights of the best epoch (of the last one without validation), float32, eval mode.
        image_passes: images shown in the epochs that count, over all attempts; an epoch that was cut off is not.
        gpu_seconds: time that those epochs took, summed over all GPUs; 0 on a CPU.
        kept: by policy, what the next round is to have of it.
        optimizer: what the optimizer had gathered in the last epoch.
        forward_passes: images that policies let a network see forward only.
        chosen: what policies measured and chose, by `policy, name`.
        remarks: what policies say of their work, in sentences.
    """

    model: DetectionModel
    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    image_passes: int
    attempts: int
    gpu_seconds: float
    peak_memory_bytes: int
    kept: Mapping[str, Mapping[str, torch.Tensor]]
    optimizer: OptimizerState
    forward_passes: int = 0
    chosen: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def trains_weights(recipe: Recipe) -> bool:
    """Whether there is an epoch to train: no policy of the recipe is against it."""
    return all(policy.trains for policy in recipe.policies)


def has_ended(recipe: Recipe, model: DetectionModel) -> bool:
    """Whether a training of `recipe` from `model` is there to be read."""
    fingerprint = fingerprint_of(recipe, model.state_dict().values())
    state = load_checkpoint(recipe.folder / CHECKPOINT, fingerprint=fingerprint)
    return state is not None and bool(state["tally"]["finished"])


def train_as_rank(recipe: Recipe, model: DetectionModel, validate: Validate | None, rank: Rank) -> None:
    """Take part in a training of several ranks; the first one leaves its result in a checkpoint, for `train` to read.

    Args:
        validate: the first rank's; others never validate.

    Raises:
        ResumableError: a stop was asked for on any rank, or the ranks were about to train different things.
    """
    fingerprint = fingerprint_of(recipe, model.state_dict().values())
    if not rank.all(rank.hand_round(fingerprint) == fingerprint):
        raise ResumableError(
            "train",
            "the nodes have prepared different trainings",
            "Run again; if it stays so, look whether all pods have the same image, and the same base model.",
        )
    resumed = rank.hand_round(
        load_checkpoint(recipe.folder / CHECKPOINT, fingerprint=fingerprint) if rank.first else None
    )
    validates = rank.hand_round(validate is not None)
    trainer = _run(recipe, model, (validate or _never) if validates else None, fingerprint, resumed, rank)
    if not trainer.tally.finished:
        recipe.stop.request(rank.first_of(recipe.stop.reason))
        recipe.stop.check("train")


def train(recipe: Recipe, model: DetectionModel, validate: Validate | None) -> Trained:
    """Train `model` by `recipe`; a training of the same recipe that was cut off goes on, one that has ended is read.

    Args:
        model: changed in place.
        validate: mean mAP50-95 of a model on the val sets, 0..1; None trains all epochs and keeps the last.

    Raises:
        ResumableError: a stop was asked for; everything up to the last full epoch is kept.
        BadSpecError: the recipe can't be trained: an override, its memory, or a loss that is no number any more.
    """
    if not trains_weights(recipe):
        return _untrained(recipe, model)
    fingerprint = fingerprint_of(recipe, model.state_dict().values())
    resumed = load_checkpoint(recipe.folder / CHECKPOINT, fingerprint=fingerprint)
    if resumed is not None and resumed["tally"]["finished"]:
        return _read(recipe, model, resumed)
    trainer = _run(recipe, model, validate, fingerprint, resumed, ALONE)
    if not trainer.tally.finished:
        recipe.stop.check("train")
    return _trained(recipe, trainer.averaged, trainer.tally, trainer.moments)


def _run(
    recipe: Recipe,
    model: DetectionModel,
    validate: Validate | None,
    fingerprint: str,
    resumed: Mapping[str, Any] | None,
    rank: Rank,
) -> TreeringTrainer:
    _forget_peak_memory(recipe)
    keep_threads()
    trainer = TreeringTrainer(recipe, model, validate, fingerprint=fingerprint, resumed=resumed, rank=rank)
    with _explained_memory(recipe, trainer), _no_downloads():
        trainer.run()
    return trainer


def _never(_model: DetectionModel) -> float:
    raise AssertionError("only the first rank validates")


def _read(recipe: Recipe, model: DetectionModel, state: Mapping[str, Any]) -> Trained:
    """The result of a training that ended, and was cut off before its result was kept."""
    prepare_model(recipe, model)
    model.load_state_dict(state["ema"])
    for policy in recipe.policies:
        policy.load_state_dict(state["policies"].get(policy.name, {}))
    moments = moments_of(state["optimizer"], state["parameters"], recipe.settings.optimizer)
    return _trained(recipe, model, Tally.of(state["tally"]), moments)


def _untrained(recipe: Recipe, model: DetectionModel) -> Trained:
    """The start weights and what the policies make of them; too short to be kept halfway."""
    recipe.stop.check("train")
    keep_threads()
    prepare_model(recipe, model)
    return _trained(recipe, model, Tally(), OptimizerState(recipe.settings.optimizer, {}))


def _trained(recipe: Recipe, averaged: DetectionModel, tally: Tally, moments: OptimizerState) -> Trained:
    if tally.best_weights is not None:
        averaged.load_state_dict(tally.best_weights)
    model = averaged.float().eval().to(recipe.device)  # what was read from a checkpoint is on the processor
    forget_training(model)
    trained = trains_weights(recipe)
    shown = replace(shown_in(recipe), trained=trained)
    for policy in recipe.policies:
        if policy.works_after:
            recipe.stop.check("train")
            recipe.listener.finish(policy.name)
        policy.finish(model.eval(), shown)
    kept = {policy.name: dict(policy.keep(model.eval(), shown)) for policy in recipe.policies}
    accounts = {policy.name: policy.account() for policy in recipe.policies}
    cuda = recipe.device.startswith("cuda")
    return Trained(
        model=model,
        epochs=tuple(tally.records),
        best_epoch=tally.best_epoch or len(tally.records),
        stopped_early=trained and len(tally.records) < recipe.settings.epochs,
        image_passes=tally.passes + sum(account.image_passes for account in accounts.values()),
        attempts=tally.attempts,
        gpu_seconds=tally.seconds if cuda else 0.0,
        peak_memory_bytes=tally.peak_memory_bytes,
        kept={name: tensors for name, tensors in kept.items() if tensors},
        forward_passes=sum(account.forward_passes for account in accounts.values()),
        chosen={f"{name}, {key}": value for name, item in accounts.items() for key, value in item.chosen.items()},
        remarks=tuple(remark for account in accounts.values() for remark in account.remarks),
        optimizer=moments,
    )


def _forget_peak_memory(recipe: Recipe) -> None:
    if recipe.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(recipe.device)


@contextmanager
def _explained_memory(recipe: Recipe, trainer: TreeringTrainer) -> Iterator[None]:
    """Turn torch's complaint about the GPU's memory into words.

    ultralytics would halve the batch and go on; that is another training than the one that was asked for.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        batch, size = trainer.order.mix.batch, recipe.image_size
        found = f"a batch of {batch} images of {size} px does not fit into the memory of {recipe.device}"
        if trainer.tally.records:
            mend = "It did before: run again where nothing else uses that memory, or give a smaller batch."
            raise ResumableError("train", found, mend) from error
        mend = f"Give a smaller batch, such as {max(recipe.settings.batch // 2, 1)}."
        raise BadSpecError("spec.training.batch", found, mend) from error


@contextmanager
def _no_downloads() -> Iterator[None]:
    """Keep ultralytics from trying mixed precision on a model that it downloads; a NaN shows that it does not work."""
    names = vars(ultralytics_trainer)
    check = names["check_amp"]
    names["check_amp"] = lambda _model: True
    try:
        yield
    finally:
        names["check_amp"] = check
