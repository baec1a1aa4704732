"""analyse: what the delivery brings, measured, and the strategy that follows from it, with its reason in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from treering_api import BadDataError
from treering_trainer.dataset import DataSet, cross_check, enforce, has_labels
from treering_trainer.records import AnalyseRecord
from treering_trainer.stages.choice import choose
from treering_trainer.stages.classes import boxed_classes, class_union
from treering_trainer.stages.fetch import Source, current_folder, fetch_for_full, increment_sources, read_learned
from treering_trainer.stages.measuring import measure
from treering_trainer.stages.shelf import load_datasets, save_datasets
from treering_trainer.stages.verify import read_source, remembered_datasets, verified_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import NoStoreError


def analyse(bench: Workbench) -> AnalyseRecord:
    """Choose the strategy; for full retraining, pull and check the history as well."""
    start_s = time.monotonic()
    datasets = load_datasets(verified_path(bench.folder))
    increments = [dataset for dataset in datasets if dataset.kind == "increment"]
    old = bench.known_classes
    new = tuple(name for name in class_union(old, datasets) if name not in old)
    analysis = measure(bench, datasets)
    choice = choose(bench, increments, new, analysis)
    strategy, reason = choice.strategy, choice.reason
    if strategy == "full" and bench.plan.history:
        try:
            _add_history(bench, datasets)
        except (NoStoreError, BadDataError) as error:
            if bench.plan.strategy != "auto" and not bench.plan.scheduled:
                raise
            strategy, reason = "incremental", f"{reason}, but what was learned can't be had again: {error}"[:1024]
    return AnalyseRecord(
        strategy=strategy,
        reason=reason,
        old_classes=old,
        new_classes=new,
        new_images=sum(len(dataset.train) for dataset in increments),
        history_images=sum(bench.lineage.train_images.values()),
        analysis=analysis,
        decision=choice.decision,
        policies=choice.policies,
        duration_s=time.monotonic() - start_s,
    )


def _add_history(bench: Workbench, datasets: Sequence[DataSet]) -> None:
    """Check what was learned before, less the pictures that models are measured on."""
    fetch_for_full(bench)
    sources = [item for item in increment_sources(bench, bench.plan.history) if not _only_adapted_to(bench, item)]
    checked = [read_source(bench, source) for source in sources]
    history = [item.dataset for item in checked]
    holdouts = [dataset for dataset in datasets if dataset.kind == "holdout"]
    settings = bench.plan.spec.verification
    _refuse_strange_classes(history, class_union(bench.known_classes, datasets))
    findings = [finding for item in checked for finding in item.findings]
    findings += cross_check(history, holdouts, None, settings)
    enforce([count for item in checked for count in item.counts], findings, settings)
    measured = {sample.sha256 for item in (*datasets, *remembered_datasets(bench)) for sample in item.val}
    save_datasets(history_path(bench), [_without(dataset, measured) for dataset in history])


def _only_adapted_to(bench: Workbench, source: Source) -> bool:
    """Whether a delivery has no label and never was learned: its round adapted BatchNorm's statistics alone."""
    folder = bench.data_folder(source.kind, source.name)
    learned = {dataset.name for dataset in read_learned(current_folder(bench)).datasets()}
    return source.name not in learned and not has_labels(folder)


def _refuse_strange_classes(history: Sequence[DataSet], names: Sequence[str]) -> None:
    """An old delivery may have changed since it was learned; a class that came in this way has no place in the head."""
    for dataset in history:
        if strange := sorted(boxed_classes(dataset) - set(names)):
            raise BadDataError(
                dataset.name,
                f"learned before, it now shows {', '.join(strange[:8])}, unknown to the line and to this round",
                "Restore the delivery as it was learned, and deliver new labels as an increment of their own",
            )


def _without(dataset: DataSet, measured: set[str]) -> DataSet:
    return replace(dataset, train=tuple(item for item in dataset.train if item.sha256 not in measured), val=())


def history_path(bench: Workbench) -> Path:
    """Where the checked history of a full round lies."""
    return bench.folder / "history.json"
