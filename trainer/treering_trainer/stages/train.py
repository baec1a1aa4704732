"""train: the recipe made from plan and data, run through the facade around ultralytics; leaves the candidate behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from treering_api import ResolvedTraining, resolve_training
from treering_trainer.engine.crew import Crew
from treering_trainer.engine.moments import OptimizerState
from treering_trainer.engine.recipe import Listener, Recipe
from treering_trainer.policies.interface import TrainingData
from treering_trainer.progress import EpochFinished, Message
from treering_trainer.records import AnalyseRecord, EpochRecord, TrainRecord
from treering_trainer.stages.evaluate import EvaluationSet, evaluation_sets, mean_map50_95, score
from treering_trainer.stages.fetch import current_folder
from treering_trainer.stages.keeping import read_optimizer, save_kept, save_optimizer
from treering_trainer.stages.models import candidate_folder, make_detector
from treering_trainer.stages.prepare import round_policies, training_path
from treering_trainer.stages.ranks import train_in_ranks
from treering_trainer.stages.shelf import load_training
from treering_trainer.stages.start import fitted_at_start, start_model, starts_from_scratch
from treering_trainer.stages.workbench import Workbench
from treering_trainer.yolo.training import Trained, has_ended, trains_weights
from treering_trainer.yolo.training import train as run_recipe
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import save_model


def train(bench: Workbench) -> TrainRecord:
    """Train the candidate; a training that was cut off goes on at its last full epoch."""
    start_s = time.monotonic()
    analysis = bench.record(AnalyseRecord)
    recipe = make_recipe(bench)
    _tell_other_precision(bench)
    _tell_other_optimizer(bench, recipe)
    model = start_model(bench, analysis.strategy, recipe.names)
    in_ranks = bench.crew.count > 1 and trains_weights(recipe) and not has_ended(recipe, model)
    if in_ranks:
        train_in_ranks(bench)
    trained = run_recipe(recipe, model, validation(bench, recipe))
    trained = replace(trained, attempts=trained.attempts - in_ranks)  # reading what the ranks left is none
    save_model(
        trained.model,
        candidate_folder(bench),
        image_size=recipe.image_size,
        line=bench.plan.line,
        round_number=bench.plan.round,
    )
    save_kept(candidate_folder(bench), trained.kept)
    for remark in trained.remarks:
        bench.observer(Message("info", remark))
    kept = trained.optimizer if recipe.settings.optimizer_state == "keep" else None
    save_optimizer(candidate_folder(bench), kept)
    return _record(trained, recipe, bench.crew, time.monotonic() - start_s)


def make_recipe(bench: Workbench) -> Recipe:
    """The round's training, without any "auto" left."""
    data = load_training(training_path(bench))
    settings = settle(bench, data)
    sets = _val_sets(bench, data.names)
    return Recipe(
        names=data.names,
        new=data.new,
        memory=data.memory,
        batch_share=data.batch_share,
        settings=settings,
        image_size=bench.plan.spec.model.image_size,
        device=bench.device,
        folder=bench.folder / "train",
        policies=round_policies(bench, data.names, stage="train"),
        listener=Listener(
            batch=lambda done, total: bench.tell("train", done, total, "images"),
            epoch=lambda record: bench.observer(EpochFinished(record, settings.epochs)),
            finish=lambda policy: bench.observer(Message("info", f"after training: {policy}")),
        ),
        stop=bench.stop,
        repeats=data.repeats,
        val=tuple(sample for item in sets for sample in item.samples),
        fitted=fitted_at_start(bench, bench.record(AnalyseRecord).strategy, data.names),
        optimizer=_moments_before(bench, settings),
    )


def settle(bench: Workbench, data: TrainingData | None = None) -> ResolvedTraining:
    """`spec.training` with the defaults of this kind of round.

    Args:
        data: what is trained on; decides epochs and rate. None: where only the other settings are asked for.
    """
    analysis = bench.record(AnalyseRecord)
    names = (*analysis.old_classes, *analysis.new_classes)
    return resolve_training(
        bench.plan.spec.training,
        strategy=analysis.strategy,
        new_classes=len(names if bench.merges else analysis.new_classes),  # all rows are new to a merged trunk
        from_scratch=starts_from_scratch(bench, analysis.strategy),
        images=data.shown if data else 1,
        remembers=data is None or bench.merges or len(data.memory) > data.drawn_images or data.merged_images > 0,
        val_images=sum(len(item.samples) for item in _val_sets(bench, names)),
        gpu=bench.device != "cpu",
        cpus=bench.threads,
        processes=bench.crew.count,
    )


def used_precision(bench: Workbench) -> str:
    """The number format that is trained in: on a CPU there is only one, whatever the spec says."""
    return "fp32" if bench.device == "cpu" else settle(bench).precision


def _tell_other_precision(bench: Workbench) -> None:
    asked, used = settle(bench).precision, used_precision(bench)
    if asked != used:
        bench.warn(f"spec.training.precision: {asked} was asked for, a CPU trains in {used}")


def _moments_before(bench: Workbench, settings: ResolvedTraining) -> OptimizerState | None:
    """What the optimizer of the published round had gathered, if this round's is to go on with it and can."""
    state = _published_moments(bench) if settings.optimizer_state == "keep" else None
    return state if state is not None and state.kind == settings.optimizer else None


def _published_moments(bench: Workbench) -> OptimizerState | None:
    if bench.merges or bench.record(AnalyseRecord).strategy != "incremental":
        return None
    return read_optimizer(current_folder(bench))


def _tell_other_optimizer(bench: Workbench, recipe: Recipe) -> None:
    if recipe.settings.optimizer_state == "fresh" or recipe.optimizer is not None:
        return
    state = _published_moments(bench)
    if state is not None:
        used = recipe.settings.optimizer
        bench.warn(f"spec.training.optimizerState: the round before trained with {state.kind}, {used} begins afresh")


def validation(bench: Workbench, recipe: Recipe) -> Callable[[DetectionModel], float] | None:
    """Fitness for early stopping: on the increments' own val sets, never on hold-outs, which only judge."""
    sets = _val_sets(bench, recipe.names)
    if not sets or not recipe.settings.patience:
        return None
    return partial(_fitness, bench, sets)


def _val_sets(bench: Workbench, names: tuple[str, ...]) -> list[EvaluationSet]:
    return [item for item in evaluation_sets(bench, names) if item.kind == "val"]


def _fitness(bench: Workbench, sets: list[EvaluationSet], model: DetectionModel) -> float:
    scores, _ = score(bench, make_detector(bench, model), sets, bench.folder / "train" / "val")
    return mean_map50_95(scores)


def _record(trained: Trained, recipe: Recipe, crew: Crew, duration_s: float) -> TrainRecord:
    epochs: tuple[EpochRecord, ...] = trained.epochs
    return TrainRecord(
        epochs=epochs,
        image_passes=trained.image_passes,
        stopped_early=trained.stopped_early,
        best_epoch=trained.best_epoch,
        learning_rate=recipe.settings.learning_rate,
        batch=recipe.settings.batch,
        device=recipe.device if crew.count == 1 else f"{crew.count} x {recipe.device.partition(':')[0]}",
        optimizer_state="fresh" if recipe.optimizer is None else "kept",
        attempts=trained.attempts,
        gpu_seconds=trained.gpu_seconds,
        peak_memory_bytes=trained.peak_memory_bytes,
        duration_s=duration_s,
        forward_passes=trained.forward_passes,
        chosen=dict(trained.chosen),
        remarks=trained.remarks,
    )
