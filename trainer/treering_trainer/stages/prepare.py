"""prepare: the class union grows by name, labels are united per image, and the policies compose what is trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from treering_api import Policies
from treering_trainer.dataset import DataSet, Sample, box_counts, no_boxes, remap
from treering_trainer.memory import Memory, MemoryItem, Remembered
from treering_trainer.policies.interface import Policy, Situation, TrainingData
from treering_trainer.policies.registry import active_policies
from treering_trainer.records import AnalyseRecord, PrepareRecord
from treering_trainer.stages.analyse import history_path
from treering_trainer.stages.classes import class_union, labelled_classes
from treering_trainer.stages.donors import team_network
from treering_trainer.stages.fetch import MEMORY, VAL, current_folder, line_memory
from treering_trainer.stages.keeping import read_kept
from treering_trainer.stages.merge import merged_model
from treering_trainer.stages.models import donor_teachers, make_detector, published_detector, teacher_detectors, toolbox
from treering_trainer.stages.shelf import load_datasets, save_training
from treering_trainer.stages.verify import verified_path
from treering_trainer.stages.workbench import Workbench

FEW_BOXES = 20
"""Boxes of a class below which a merge may forget it: 12 boxes of a person among cards did not hold it."""
SELDOM_MEND = (
    "Training may forget it. Deliver pictures that do (under spec.verification.missingLabels: unlabelled they need "
    "no labels), or join the models without training: treering fuse"
)


def prepare(bench: Workbench) -> PrepareRecord:
    """Compose the training data and keep it in the work folder."""
    start_s = time.monotonic()
    datasets = load_datasets(verified_path(bench.folder))
    names = class_union(bench.known_classes, datasets)
    full = bench.record(AnalyseRecord).strategy == "full"
    history = load_datasets(history_path(bench)) if full and bench.plan.history else ()
    sources = [*history, *(dataset for dataset in datasets if dataset.kind == "increment")]
    data = unite_samples(names, sources)
    policies = round_policies(bench, names, stage="prepare")
    for policy in policies:
        bench.progress("prepare", 0, 0, "images", policy.name)
        data = policy.compose(data)
    save_training(training_path(bench), data)
    merge = merged_model(bench, names)[1] if bench.merges else None
    if merge is not None:
        merge = merge.model_copy(update={"seldom": seldom(data, bench.known_classes)})
        _warn_of_seldom(bench, merge.seldom, data)
    return PrepareRecord(
        classes=names,
        new_images=len(data.new),
        memory_images=len(data.memory) - data.drawn_images,
        merged_images=data.merged_images,
        pseudo_labels=dict(data.pseudo_labels),
        unsure=dict(data.unsure),
        thresholds=dict(data.thresholds),
        drawn_images=data.drawn_images,
        drawn_boxes=dict(data.drawn_boxes),
        image_passes=data.image_passes,
        policies=tuple(policy.name for policy in policies),
        merge=merge,
        duration_s=time.monotonic() - start_s,
    )


def seldom(data: TrainingData, taught: Sequence[str]) -> dict[str, int]:
    """Classes that fewer than `FEW_BOXES` of all boxes in delivered pictures show, with how many do."""
    counts = box_counts(data.new, data.names)
    return {name: counts[name] for name in taught if counts[name] < FEW_BOXES}


def _warn_of_seldom(bench: Workbench, found: dict[str, int], data: TrainingData) -> None:
    if found:
        told = ", ".join(
            f"{name} ({count} boxes, {data.drawn_boxes.get(name, 0)} drawn)" for name, count in found.items()
        )
        bench.warn(f"the pictures hardly show what donors know: {told}. {SELDOM_MEND}")


def round_policies(
    bench: Workbench, names: tuple[str, ...], *, stage: Literal["prepare", "train", "export"]
) -> tuple[Policy, ...]:
    """The policies of the round, ready to act.

    Args:
        stage: that they act in: what only another one needs is not loaded.
    """
    found = situation(bench, names)
    policies = effective_policies(bench)
    distills = policies.distill is not None and policies.distill.enabled and stage != "export"
    draws = policies.inversion is not None and policies.inversion.enabled and stage == "prepare"
    if distills:
        found = replace(found, teachers=teacher_detectors(bench))
    if bench.merges and (distills or draws):
        found = replace(found, donors=donor_teachers(bench))
    if bench.crew.nodes == 1:  # other nodes fetch what they train on, and what is drawn lies nowhere else
        found = replace(found, folder=bench.folder / "drawn")
    return active_policies(policies, found)


def effective_policies(bench: Workbench) -> Policies:
    """The user's blocks, then what auto chose, then the preset's."""
    return bench.record(AnalyseRecord).policies or bench.plan.spec.policies.resolve()


def situation(bench: Workbench, names: tuple[str, ...]) -> Situation:
    """What the policies know about the round."""
    plain = Situation(
        strategy=bench.record(AnalyseRecord).strategy,
        seed=bench.plan.spec.training.seed,
        names=names,
        old_names=bench.known_classes,
        toolbox=toolbox(bench),
    )
    if bench.merges:
        val, val_samples = _own_val(bench)
        team = make_detector(bench, team_network(bench))
        return replace(plain, teacher=team, donors=(), val=val, val_samples=val_samples)
    if isinstance(bench.plan.base, str):
        return replace(plain, memory=Memory())
    memory, val = line_memory(bench, MEMORY), line_memory(bench, VAL)
    return replace(
        plain,
        memory=memory,
        memory_samples=Remembered(memory, bench.bank).samples(names),
        val=val,
        val_samples=Remembered(val, bench.bank).samples(names),
        teacher=published_detector(bench),
        kept=read_kept(current_folder(bench)),
    )


def _own_val(bench: Workbench) -> tuple[Memory, tuple[Sample, ...]]:
    """The round's own val pictures, on which donors are judged that never saw any of the line's."""
    items: list[MemoryItem] = []
    samples: list[Sample] = []
    for dataset in load_datasets(verified_path(bench.folder)):
        classes = sorted(labelled_classes(dataset))
        for sample in dataset.val if dataset.kind == "increment" else ():
            items.append(MemoryItem.of(sample, dataset.names, increment=dataset.name, classes=classes))
            samples.append(replace(sample, boxes=no_boxes()))
    return Memory(items=tuple(items)), tuple(samples)


def unite_samples(names: tuple[str, ...], datasets: Sequence[DataSet]) -> TrainingData:
    """All train images, each once: the labels of an image that was delivered several times are united."""
    samples: dict[str, Sample] = {}
    known: dict[str, frozenset[str]] = {}
    for dataset in datasets:
        spoken = labelled_classes(dataset)
        for sample in dataset.train:
            classes = spoken if sample.labelled else frozenset[str]()
            boxes = remap(sample.boxes, dataset.names, names)
            before = samples.get(sample.sha256)
            if before is not None:
                old = [row for row in before.boxes if names[int(row[0])] not in classes]
                boxes = np.concatenate([np.asarray(old, dtype=np.float64).reshape(-1, 5), boxes])
            name = f"{dataset.name}__{sample.name}" if before is None else before.name
            samples[sample.sha256] = replace(sample, name=name, boxes=boxes)
            known[sample.sha256] = known.get(sample.sha256, frozenset()) | classes
    return TrainingData(names=names, new=tuple(samples.values()), new_classes_known=tuple(known.values()))


def training_path(bench: Workbench) -> Path:
    """Where the composed training data lies."""
    return bench.folder / "training.json"
