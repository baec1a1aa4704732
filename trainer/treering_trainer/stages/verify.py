"""verify: labels, images and class names checked before any training; what can't be learned is named, or stops here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from treering_api import BadDataError, BadSpecError, Increment, Verification
from treering_trainer.dataset import Checked, DataSet, Sample, box_counts, cross_check, enforce, read_dataset, unite
from treering_trainer.memory import Remembered
from treering_trainer.records import NOT_MEASURED, Finding, SplitCount, VerifyRecord
from treering_trainer.stages.classes import class_union, measured_classes
from treering_trainer.stages.fetch import (
    MEMORY,
    VAL,
    Source,
    current_folder,
    holdout_sources,
    increment_sources,
    line_memory,
    read_learned,
)
from treering_trainer.stages.shelf import save_datasets
from treering_trainer.stages.workbench import Workbench

NAMED = 20
_HASH_RANGE = 16**8


@dataclass(frozen=True)
class Examined:
    """Data sets as they would be learned from and measured on, and all that was seen on the way."""

    datasets: tuple[DataSet, ...]
    counts: tuple[SplitCount, ...]
    findings: tuple[Finding, ...]

    def enforce(self, settings: Verification) -> None:
        """Raise a `BadDataError` where this can't be learned from."""
        enforce(self.counts, self.findings, settings)


def verify(bench: Workbench) -> VerifyRecord:
    """Check every data set of the round, alone and beside the others.

    Raises:
        BadDataError: an error was found, or too much had to be quarantined.
        BadSpecError: there would be nothing to compare the models on.
    """
    start_s = time.monotonic()
    examined = examine(bench, bench.plan.increments)
    examined.enforce(bench.plan.spec.verification)
    refuse_unmeasurable(bench, examined.datasets)
    save_datasets(verified_path(bench.folder), examined.datasets)
    findings = (*examined.findings, *not_measured(bench, examined.datasets))
    return VerifyRecord(counts=examined.counts, findings=findings, duration_s=time.monotonic() - start_s)


def examine(bench: Workbench, increments: Iterable[Increment]) -> Examined:
    """Read pulled increments and the hold-outs, and set them beside each other and beside what the line remembers."""
    sources = [*increment_sources(bench, increments), *holdout_sources(bench)]
    checked = [read_source(bench, source) for source in sources]
    unite(bench.known_classes, *(item.dataset for item in checked))  # refuses a class that was respelled
    remembered = remembered_datasets(bench)
    learned_before = learned_datasets(bench, remembered)
    datasets, remarks = _keep_out_measured([item.dataset for item in checked], remembered)
    findings = [*(finding for item in checked for finding in item.findings), *remarks]
    findings += cross_check(
        [dataset for dataset in datasets if dataset.kind == "increment"],
        [*(dataset for dataset in datasets if dataset.kind == "holdout"), *(item for item in remembered if item.val)],
        next((dataset for dataset in remembered if dataset.train), None),
        bench.plan.spec.verification,
        learned_before,
    )
    learned = {sample.sha256 for dataset in (*remembered, *learned_before) for sample in dataset.train}
    datasets = [_hold_back(bench, dataset, learned) for dataset in datasets]
    counts = [count for item in checked for count in item.counts]
    for before, after in zip((item.dataset for item in checked), datasets, strict=True):
        if after is not before:
            counts = [_recounted(count, after) for count in counts]
    counts += [_memory_count(dataset) for dataset in remembered if dataset.kind == "memory" and dataset.train]
    return Examined(tuple(datasets), tuple(counts), tuple(findings))


def read_source(bench: Workbench, source: Source) -> Checked:
    """Read one pulled delivery or hold-out."""

    def tell(done: int, total: int) -> None:
        bench.progress("verify", done, total, "images", source.name)

    return read_dataset(
        bench.data_folder(source.kind, source.name),
        source.name,
        source.kind,
        bench.plan.spec.verification,
        _renames(bench, source),
        workers=bench.threads,
        on_image=tell,
        known=bench.known_classes if source.kind == "increment" else (),
        needs_label=bench.learns,
    )


def _renames(bench: Workbench, source: Source) -> Mapping[str, str]:
    plan = bench.plan
    if source.kind == "holdout":
        return next(item.classes for item in plan.spec.evaluation.holdouts if item.name == source.name)
    known = (*plan.increments, *plan.history)
    return next(item.classes for item in known if item.name == source.name)


def remembered_datasets(bench: Workbench) -> tuple[DataSet, ...]:
    """The memory (as train) and, for each learned increment, its validation images (as val)."""
    if isinstance(bench.plan.base, str):
        return ()
    names = bench.known_classes
    memory, val = (Remembered(line_memory(bench, name), bench.bank) for name in (MEMORY, VAL))
    periods: dict[str, list[Sample]] = {}
    for item, sample in zip(val.memory.items, val.samples(names), strict=True):
        periods.setdefault(item.increment, []).append(sample)
    return (
        DataSet("memory", "memory", names, train=memory.samples(names), val=()),
        *(DataSet(name, "increment", names, train=(), val=tuple(samples)) for name, samples in periods.items()),
    )


def learned_datasets(bench: Workbench, remembered: Sequence[DataSet]) -> tuple[DataSet, ...]:
    """What the published model was trained on, by increment, as far as its round says.

    Less what earlier rounds are measured on for good: nobody could mend that any more.
    """
    if isinstance(bench.plan.base, str):
        return ()
    settled = {sample.sha256 for dataset in remembered for sample in dataset.val}
    known = read_learned(current_folder(bench)).datasets()
    return tuple(
        replace(item, train=tuple(sample for sample in item.train if sample.sha256 not in settled)) for item in known
    )


def _keep_out_measured(
    datasets: Sequence[DataSet], remembered: Sequence[DataSet]
) -> tuple[list[DataSet], list[Finding]]:
    """Take train pictures that an earlier increment is measured on out of training: deliveries may overlap."""
    origin = {sample.sha256: dataset.name for dataset in remembered for sample in dataset.val}
    result: list[DataSet] = []
    findings: list[Finding] = []
    for dataset in datasets:
        kept = tuple(sample for sample in dataset.train if sample.sha256 not in origin)
        out = len(dataset.train) - len(kept)
        if out and not kept:
            names = ", ".join(sorted({origin[sample.sha256] for sample in dataset.train}))
            raise BadDataError(
                dataset.name,
                f"every train picture is one that the line measures on since {names}",
                "Deliver pictures that are new",
            )
        if out:
            found = f"{out} of {len(dataset.train)} train pictures are measured on since an earlier increment"
            mend = "None needed: they stay out of training."
            findings.append(Finding(severity="info", code="MeasuredOn", where=dataset.name, found=found, mend=mend))
            dataset = replace(dataset, train=kept)
        result.append(dataset)
    return result, findings


def _hold_back(bench: Workbench, dataset: DataSet, learned: set[str]) -> DataSet:
    """Give an increment without a val split one of its own, where the line has no hold-out."""
    evaluation = bench.plan.spec.evaluation
    wanted = dataset.kind == "increment" and not dataset.val and evaluation.val_fraction
    wanted = wanted and (bench.learns or any(len(sample.boxes) for sample in dataset.train))
    return split(dataset, evaluation.val_fraction, learned) if wanted and not evaluation.holdouts else dataset


def split(dataset: DataSet, fraction: float, learned: Iterable[str] = ()) -> DataSet:
    """Move a share of the train images to val, chosen by their content alone.

    An image is held back in every delivery that brings it, or in none, so that overlapping deliveries don't learn what
    they are measured on. At least one is held back, where two or more could be.

    Args:
        fraction: 0 to below 1.
        learned: SHA-256 of images that were learned already; they are no measure.
    """
    fresh = sorted({sample.sha256 for sample in dataset.train} - set(learned))
    held = set([name for name in fresh if int(name[:8], 16) < fraction * _HASH_RANGE] or fresh[:1])
    train = tuple(sample for sample in dataset.train if sample.sha256 not in held)
    if not train:
        return dataset
    return replace(dataset, train=train, val=tuple(sample for sample in dataset.train if sample.sha256 in held))


def _recounted(count: SplitCount, dataset: DataSet) -> SplitCount:
    if (count.dataset, count.kind) != (dataset.name, dataset.kind):
        return count
    samples = dataset.train if count.split == "train" else dataset.val
    backgrounds = sum(not len(sample.boxes) for sample in samples)
    boxes = box_counts(samples, dataset.names)
    return count.model_copy(update={"images": len(samples), "backgrounds": backgrounds, "boxes": boxes})


def _memory_count(memory: DataSet) -> SplitCount:
    return SplitCount(
        dataset=memory.name,
        kind="memory",
        split="train",
        images=len(memory.train),
        backgrounds=sum(not len(sample.boxes) for sample in memory.train),
        quarantined=0,
        boxes=box_counts(memory.train, memory.names),
    )


def not_measured(bench: Workbench, datasets: Sequence[DataSet]) -> tuple[Finding, ...]:
    """A warning that names the classes on which nothing is compared: the gate is blind to them."""
    shown = measured_classes((*datasets, *remembered_datasets(bench)))
    blind = [name for name in class_union(bench.known_classes, datasets) if name not in shown]
    if not blind:
        return ()
    more = f" and {len(blind) - NAMED} more" if len(blind) > NAMED else ""
    return (
        Finding(
            severity="warning",
            code=NOT_MEASURED,
            where="spec.evaluation.holdouts",
            found=f"no hold-out and no val picture shows {', '.join(blind[:NAMED])}{more}: not compared by the gate",
            mend="Add pictures of them to a hold-out, or forgetting them goes unseen.",
        ),
    )


def refuse_unmeasurable(bench: Workbench, datasets: Sequence[DataSet]) -> None:
    """Before hours of training: whether the gate will have something to compare."""
    known = frozenset(bench.known_classes)
    wanted = frozenset(class_union(bench.known_classes, datasets))
    shown = measured_classes((*datasets, *remembered_datasets(bench)))
    mend = "Add a hold-out that shows them, deliver images/val with labels/val, or give evaluation.valFraction"
    if not wanted & shown:
        found = "there is nothing to compare models on: no hold-out and no val picture shows a class of the line"
        raise BadSpecError("spec.evaluation", found, mend)
    if known and not known & shown:
        found = f"no hold-out and no val picture shows a class that the line knows ({', '.join(sorted(known)[:8])})"
        raise BadSpecError("spec.evaluation", f"{found}: forgetting could not be measured", mend)


def verified_path(folder: Path) -> Path:
    """Where verify leaves the data sets."""
    return folder / "datasets.json"
