"""What a round collects for people: pictures it reads worst, unlabelled ones of which it is least sure, ready to label.

Pictures of hold-outs and val sets are for review only. Where a line keeps no pictures, names and numbers remain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from treering_trainer.cases.case import FOLDER, CaseList
from treering_trainer.cases.selection import Seen, error_cases, uncertain_cases, within
from treering_trainer.cases.writers import write_cases
from treering_trainer.dataset import Sample, no_boxes
from treering_trainer.dataset.images import read_picture
from treering_trainer.dataset.labels import Fault
from treering_trainer.progress import Measured
from treering_trainer.report import render_cases
from treering_trainer.stages.evaluate import evaluation_sets
from treering_trainer.stages.fetch import current_folder, keeps_pictures, read_learned
from treering_trainer.stages.models import candidate_detector, published_detector
from treering_trainer.stages.shelf import load_datasets
from treering_trainer.stages.verify import remembered_datasets, verified_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import write_atomic
from treering_trainer.yolo.detector import YoloDetector

FAINTEST = 0.05
"""Confidence of the faintest box that may tell why an object was missed, or that a picture is doubtful."""
OVERLAP = 0.7
MIB = 2**20


def collect_cases(bench: Workbench, folder: Path) -> dict[str, int]:
    """Choose and write the round's cases below `folder`; gives their number by kind, nothing where none are wanted."""
    settings = bench.plan.spec.cases
    _counts_path(bench).unlink(missing_ok=True)
    if settings is None or not settings.enabled:
        return {}
    detector = candidate_detector(bench)
    names = detector.names
    seen = _on_sets(bench, detector)
    chosen = error_cases(seen, names, settings.confidence, settings.images)
    doubtful = _unlabelled(bench, detector, _known_pictures(bench))
    if doubtful:
        features = detector.embed([one.sample for one in doubtful])
        chosen += uncertain_cases(doubtful, names, settings.confidence, settings.images, features)
    chosen = within(chosen, settings.max_mib * MIB)
    cases = CaseList(
        line=bench.plan.line,
        round=bench.plan.round,
        attempt=bench.attempt,
        classes=names,
        confidence=settings.confidence,
        with_pictures=keeps_pictures(bench),
        cases=tuple(one.case for one in chosen),
    )
    write_cases(cases, chosen, folder / FOLDER)
    page = render_cases(cases, {one.case.sha256: one.path for one in chosen}, bench.lineage.rounds)
    write_atomic(folder / FOLDER / "cases.html", page.encode())
    counts = cases.counts()
    write_atomic(_counts_path(bench), json.dumps(counts).encode())
    for kind, count in counts.items():
        bench.observer(Measured("treering_round_cases", float(count), {"kind": kind}))
    return counts


def counted_cases(bench: Workbench) -> dict[str, int]:
    """What `collect_cases` gave; empty before."""
    path = _counts_path(bench)
    found: dict[str, int] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def _on_sets(bench: Workbench, detector: YoloDetector) -> list[Seen]:
    """Every picture that is measured on, with what the candidate and the model before it find there."""
    items = [(item.name, sample) for item in evaluation_sets(bench, detector.names) for sample in item.samples]
    samples = [sample for _, sample in items]
    bench.progress("export", 0, 0, "images", "cases: measured pictures")
    found = detector.detect(samples, confidence=FAINTEST, overlap=OVERLAP)
    if isinstance(bench.plan.base, str):
        return [Seen(sample, name, rows) for (name, sample), rows in zip(items, found, strict=True)]
    earlier = published_detector(bench)  # its classes are a prefix of the candidate's
    before = earlier.detect([_bare(sample) for sample in samples], confidence=FAINTEST, overlap=OVERLAP)
    known = len(earlier.names)
    return [
        Seen(sample, name, rows, other, known) for (name, sample), rows, other in zip(items, found, before, strict=True)
    ]


def _bare(sample: Sample) -> Sample:
    return Sample(sample.name, sample.image, no_boxes(), sample.width, sample.height, sample.sha256, sample.phash)


def _known_pictures(bench: Workbench) -> set[str]:
    """Content of everything that the line measures on or has learned: nobody has to label it again."""
    datasets = (*load_datasets(verified_path(bench.folder)), *remembered_datasets(bench))
    learned = () if isinstance(bench.plan.base, str) else read_learned(current_folder(bench)).datasets()
    return {sample.sha256 for dataset in (*datasets, *learned) for _, sample in dataset.samples()}


def _unlabelled(bench: Workbench, detector: YoloDetector, known: set[str]) -> list[Seen]:
    """Unlabelled pictures with what the candidate finds; none that is known, however it came there."""
    settings = bench.plan.spec.cases
    assert settings is not None
    items: dict[str, tuple[str, Sample]] = {}
    for place in settings.unlabelled:
        folder, broken = bench.data_folder("unlabelled", place.name), 0
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            bench.progress("export", len(items), 0, "images", f"cases: {place.name}")
            picture = read_picture(path)
            broken += isinstance(picture, Fault)
            if isinstance(picture, Fault) or picture.sha256 in known:
                continue
            sample = Sample(path.stem, path, no_boxes(), picture.width, picture.height, picture.sha256, picture.phash)
            items.setdefault(picture.sha256, (place.name, sample))
        if broken:
            bench.warn(f"spec.cases.unlabelled: {broken} pictures of {place.name} can't be read and are passed over")
    samples: Sequence[Sample] = [sample for _, sample in items.values()]
    found = detector.detect(samples, confidence=FAINTEST, overlap=OVERLAP)
    return [Seen(sample, name, rows) for (name, sample), rows in zip(items.values(), found, strict=True)]


def _counts_path(bench: Workbench) -> Path:
    return bench.folder / "cases-counted.json"
