"""verify: labels, images and class names checked before any training; what can't be learned is named, or stops here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from treering_api import BadSpecError
from treering_trainer.dataset import Checked, DataSet, Sample, cross_check, enforce, read_dataset, unite
from treering_trainer.memory import Remembered
from treering_trainer.records import SplitCount, VerifyRecord
from treering_trainer.stages.fetch import MEMORY, VAL, Source, current_folder, holdout_sources, increment_sources, read_memory
from treering_trainer.stages.shelf import save_datasets
from treering_trainer.stages.workbench import Workbench


def verify(bench: Workbench) -> VerifyRecord:
    """Check every data set of the round, alone and beside the others.

    Raises:
        BadDataError: an error was found, or too much had to be quarantined.
        BadSpecError: there would be nothing to compare the models on.
    """
    start_s = time.monotonic()
    increments = [read_source(bench, source) for source in increment_sources(bench, bench.plan.increments)]
    holdouts = [read_source(bench, source) for source in holdout_sources(bench)]
    checked = [*increments, *holdouts]
    remembered = remembered_datasets(bench)
    findings = [finding for item in checked for finding in item.findings]
    settings = bench.plan.spec.verification
    findings += cross_check(
        [item.dataset for item in increments],
        [*(item.dataset for item in holdouts), *(dataset for dataset in remembered if dataset.val)],
        next((dataset for dataset in remembered if dataset.train), None),
        settings,
    )
    counts = [count for item in checked for count in item.counts]
    enforce(counts, findings, settings)
    unite(bench.plan.known_classes, *(item.dataset for item in checked))  # refuses a class that was respelled
    datasets, counts = _hold_back(bench, [item.dataset for item in checked], counts)
    save_datasets(verified_path(bench.folder), datasets)
    return VerifyRecord(counts=tuple(counts), findings=tuple(findings), duration_s=time.monotonic() - start_s)


def read_source(bench: Workbench, source: Source) -> Checked:
    """Read one pulled delivery or hold-out."""
    spec = bench.plan.spec
    known = (*spec.increments, *bench.plan.increments) if source.kind == "increment" else spec.evaluation.holdouts
    rename: Mapping[str, str] = next((item.classes for item in known if item.name == source.name), {})

    def tell(done: int, total: int) -> None:
        bench.progress("verify", done, total, "images", source.name)

    return read_dataset(
        bench.data_folder(source.kind, source.name),
        source.name,
        source.kind,
        spec.verification,
        rename,
        workers=bench.threads,
        on_image=tell,
    )


def remembered_datasets(bench: Workbench) -> tuple[DataSet, ...]:
    """The memory (as train) and, for each learned increment, its validation images (as val)."""
    if isinstance(bench.plan.base, str):
        return ()
    folder, names = current_folder(bench), bench.plan.known_classes
    memory, val = (Remembered(read_memory(folder / name), bench.bank) for name in (MEMORY, VAL))
    _check_contents([*memory.samples(names), *val.samples(names)])
    periods: dict[str, list[Sample]] = {}
    for item, sample in zip(val.memory.items, val.samples(names), strict=True):
        periods.setdefault(item.increment, []).append(sample)
    return (
        DataSet("memory", "memory", names, train=memory.samples(names), val=()),
        *(DataSet(name, "increment", names, train=(), val=tuple(samples)) for name, samples in periods.items()),
    )


def _check_contents(samples: Sequence[Sample]) -> None:
    for sample in samples:
        found = hashlib.sha256(sample.image.read_bytes()).hexdigest()
        assert found == sample.sha256, f"{sample.image} is not what its name says"


def _hold_back(
    bench: Workbench, datasets: list[DataSet], counts: list[SplitCount]
) -> tuple[list[DataSet], list[SplitCount]]:
    """Give increments without a val split one of their own, where the line has no hold-out."""
    evaluation = bench.plan.spec.evaluation
    if evaluation.holdouts:
        return datasets, counts
    result = []
    for dataset in datasets:
        if not dataset.val and evaluation.val_fraction:
            dataset = split(dataset, evaluation.val_fraction)
            counts = [_recount(count, dataset) for count in counts]
        result.append(dataset)
    if not any(dataset.val for dataset in result):
        raise BadSpecError(
            "spec.evaluation",
            "there is nothing to compare the new model with the old one on: no hold-out, no val images, valFraction 0",
            "Add a hold-out, deliver images/val with labels/val, or give valFraction",
        )
    return result, counts


def split(dataset: DataSet, fraction: float) -> DataSet:
    """Move a share of the train images to val: those with the smallest hashes, so that it is the same share always."""
    hashes = sorted({sample.sha256 for sample in dataset.train})
    held = set(hashes[: min(ceil(fraction * len(hashes)), len(hashes) - 1)])
    return replace(
        dataset,
        train=tuple(sample for sample in dataset.train if sample.sha256 not in held),
        val=tuple(sample for sample in dataset.train if sample.sha256 in held),
    )


def _recount(count: SplitCount, dataset: DataSet) -> SplitCount:
    if count.dataset != dataset.name or count.kind != dataset.kind:
        return count
    samples = dataset.train if count.split == "train" else dataset.val
    boxes = {name: 0 for name in count.boxes}
    for sample in samples:
        for row in sample.boxes:
            boxes[dataset.names[int(row[0])]] = boxes.get(dataset.names[int(row[0])], 0) + 1
    return count.model_copy(
        update={
            "images": len(samples),
            "backgrounds": sum(not len(sample.boxes) for sample in samples),
            "boxes": boxes,
        }
    )


def verified_path(folder: Path) -> Path:
    """Where verify leaves the data sets."""
    return folder / "datasets.json"
