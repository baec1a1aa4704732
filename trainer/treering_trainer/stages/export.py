"""export: everything that publish will put into the store, made and checked in a folder of its own.

A rejected candidate gets its report and record, never its weights.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from treering_trainer.dataset import Sample
from treering_trainer.memory import Learned, Memory, MemoryItem
from treering_trainer.policies.interface import Keepsakes, Policy
from treering_trainer.records import (
    AnalyseRecord,
    ExportedFormat,
    ExportRecord,
    FileEntry,
    GateRecord,
)
from treering_trainer.report import render_round
from treering_trainer.stages.account import round_record
from treering_trainer.stages.analyse import history_path
from treering_trainer.stages.cases import collect_cases
from treering_trainer.stages.classes import labelled_classes
from treering_trainer.stages.export_formats import forget_formats, make_formats
from treering_trainer.stages.fetch import (
    LEARNED,
    MEMORY,
    STATISTICS,
    VAL,
    current_folder,
    keeps_pictures,
    line_memory,
    read_learned,
)
from treering_trainer.stages.keeping import read_kept, read_optimizer, save_kept, save_optimizer
from treering_trainer.stages.models import candidate_detector, candidate_folder
from treering_trainer.stages.prepare import round_policies, training_path
from treering_trainer.stages.shelf import load_datasets, load_training
from treering_trainer.stages.statistics import statistics
from treering_trainer.stages.verify import verified_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import describe_file, write_atomic
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.weights import save_model, save_ultralytics

RECORD = "record.json"
PAGE = "report.html"


def export(bench: Workbench) -> ExportRecord:
    """Make the files of the publication."""
    start_s = time.monotonic()
    folder = export_folder(bench)
    shutil.rmtree(folder, ignore_errors=True)  # what a try that was cut off left would be published too
    relabelled: dict[str, int] = {}
    formats: tuple[ExportedFormat, ...] = ()
    forget_formats(bench)
    memory = Memory()
    if bench.record(GateRecord).passed:
        detector = candidate_detector(bench)
        memory, relabelled = _remember(bench, detector)
        write_atomic(folder / MEMORY, memory.model_dump_json().encode())
        write_atomic(folder / VAL, _val_bank(bench).model_dump_json().encode())
        write_atomic(folder / LEARNED, _learned(bench).model_dump_json().encode())
        write_atomic(folder / STATISTICS, statistics(bench, detector).model_dump_json().encode())
        save_kept(folder, read_kept(candidate_folder(bench)))
        save_optimizer(folder, read_optimizer(candidate_folder(bench)))
        formats = _export_model(bench, detector, folder)
    cases = collect_cases(bench, folder)
    describe_round(bench)
    files = {path.relative_to(folder).as_posix(): describe_file(path) for path in _files(folder)}
    return ExportRecord(
        files=files,
        memory_images=len(memory.items),
        relabelled=relabelled,
        formats=formats,
        cases=cases,
        duration_s=time.monotonic() - start_s,
    )


def export_folder(bench: Workbench) -> Path:
    """What will be published, as it will lie in the round's folder."""
    return bench.folder / "export"


def describe_round(bench: Workbench) -> dict[str, FileEntry]:
    """Write the round's record and its page, which name the attempt that publishes them; gives their entries."""
    folder, record = export_folder(bench), round_record(bench)
    write_atomic(folder / RECORD, record.model_dump_json(indent=1).encode())
    page = render_round(record, lineage=bench.lineage.rounds, with_pictures=keeps_pictures(bench))
    write_atomic(folder / PAGE, page.encode())
    return {name: describe_file(folder / name) for name in (RECORD, PAGE)}


def _export_model(bench: Workbench, detector: YoloDetector, folder: Path) -> tuple[ExportedFormat, ...]:
    size = bench.plan.spec.model.image_size
    bench.progress("export", 0, 0, "files", "safetensors and .pt")
    save_model(detector.model, folder, image_size=size, line=bench.plan.line, round_number=bench.plan.round)
    save_ultralytics(detector.model, folder / "model.pt", image_size=size)
    return make_formats(bench, detector.names, folder)


def _remember(bench: Workbench, student: YoloDetector) -> tuple[Memory, dict[str, int]]:
    """The memory of the next round: chosen by one policy, labelled further by others."""
    policies = round_policies(bench, student.names, stage="export")
    candidates, samples = _candidates(bench) if keeps_pictures(bench) else ((), ())
    sizes_bytes = tuple(sample.image.stat().st_size for sample in samples)
    chosen = _choose(policies, Keepsakes(candidates, samples, _train_images(bench), sizes_bytes), student)
    images = dict(zip((item.sha256 for item in candidates), samples, strict=True))
    before = _guess_counts(chosen)
    for policy in policies:
        bench.progress("export", 0, 0, "images", f"memory: {policy.name}")
        chosen = policy.relabel(chosen, [images[item.sha256] for item in chosen], student)
    after = _guess_counts(chosen)
    added = {name: after[name] - before.get(name, 0) for name in after if after[name] > before.get(name, 0)}
    return Memory(items=chosen), added


def _choose(policies: Iterable[Policy], keepsakes: Keepsakes, student: YoloDetector) -> tuple[MemoryItem, ...]:
    for policy in policies:
        chosen = policy.remember(keepsakes, student)
        if chosen is not None:
            return chosen
    return ()


def _train_images(bench: Workbench) -> dict[str, int]:
    """By increment learned, this round's included, how many train images it had."""
    fresh = (item for item in load_datasets(verified_path(bench.folder)) if item.kind == "increment")
    return {**bench.lineage.train_images, **{dataset.name: len(dataset.train) for dataset in fresh}}


def _candidates(bench: Workbench) -> tuple[tuple[MemoryItem, ...], tuple[Sample, ...]]:
    """Images that may be remembered: the present memory and this round's, with what people said of them."""
    names = load_training(training_path(bench)).names
    items: dict[str, MemoryItem] = {}
    samples: dict[str, Sample] = {}
    for item in line_memory(bench, MEMORY).items:
        items[item.sha256] = item
        samples[item.sha256] = item.to_sample(bench.bank, {name: place for place, name in enumerate(names)})
    for dataset in load_datasets(verified_path(bench.folder)) if bench.learns else ():  # what was learned, no more
        classes = sorted(labelled_classes(dataset))
        for sample in dataset.train if dataset.kind == "increment" else ():
            spoken = classes if sample.labelled else []
            item = MemoryItem.of(sample, dataset.names, increment=dataset.name, classes=spoken)
            items[sample.sha256] = _united(items.get(sample.sha256), item)
            samples[sample.sha256] = _resample(sample, items[sample.sha256], names)
    return tuple(items.values()), tuple(samples[key] for key in items)


def _united(old: MemoryItem | None, new: MemoryItem) -> MemoryItem:
    """What people said of an image with two deliveries, the later one first; guesses where neither spoke."""
    if old is None:
        return new
    said = frozenset(new.classes)
    update = {
        "boxes": (*(box for box in old.boxes if box[0] not in said), *new.boxes),
        "classes": tuple(dict.fromkeys((*old.classes, *new.classes))),
        "guessed_classes": tuple(name for name in old.guessed_classes if name not in said),
        "guesses": tuple(guess for guess in old.guesses if guess[0] not in said),
        "unsure": tuple(guess for guess in old.unsure if guess[0] not in said),
    }
    return new.model_copy(update=update)


def _resample(sample: Sample, item: MemoryItem, names: tuple[str, ...]) -> Sample:
    told = item.to_sample(sample.image.parent, {name: place for place, name in enumerate(names)})
    return Sample(sample.name, sample.image, told.boxes, sample.width, sample.height, sample.sha256, sample.phash)


def _val_bank(bench: Workbench) -> Memory:
    """Every increment's validation images so far, so that later rounds measure on the very same ones."""
    if not keeps_pictures(bench):
        return Memory()
    kept = line_memory(bench, VAL).items
    fresh = [
        MemoryItem.of(sample, dataset.names, increment=dataset.name, classes=sorted(labelled_classes(dataset)))
        for dataset in load_datasets(verified_path(bench.folder))
        if dataset.kind == "increment"
        for sample in dataset.val
    ]
    return Memory(items=(*kept, *fresh))


def _learned(bench: Workbench) -> Learned:
    """Every picture that the candidate or a model before it was trained on."""
    before = Learned() if isinstance(bench.plan.base, str) else read_learned(current_folder(bench))
    if not bench.learns:
        return before
    full = bench.record(AnalyseRecord).strategy == "full" and bench.plan.history
    history = load_datasets(history_path(bench)) if full else ()
    fresh = [item for item in load_datasets(verified_path(bench.folder)) if item.kind == "increment"]
    return before.with_train((*history, *fresh))


def _guess_counts(items: Iterable[MemoryItem]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        for name, *_ in item.guesses:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
