"""evaluate: the published model and the candidate on the same sets: hold-outs, and every increment's own val."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from treering_trainer.dataset import DataSet, Sample, remap
from treering_trainer.progress import Measured
from treering_trainer.records import AnalyseRecord, DonorScore, EvaluateRecord, SetScore
from treering_trainer.stages.donors import donor_networks
from treering_trainer.stages.models import candidate_detector, make_detector, published_detector
from treering_trainer.stages.shelf import load_datasets
from treering_trainer.stages.verify import remembered_datasets, verified_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.evaluation import evaluate as evaluate_set

WORST = 12


@dataclass(frozen=True)
class EvaluationSet:
    """One hold-out, or one increment's val; class indices point into `names`."""

    name: str
    kind: Literal["holdout", "val"]
    names: tuple[str, ...]
    samples: tuple[Sample, ...]


def evaluate(bench: Workbench) -> EvaluateRecord:
    """Compare both models; the old one is asked only for the classes it knows."""
    start_s = time.monotonic()
    analysis, candidate = bench.record(AnalyseRecord), candidate_detector(bench)
    sets = evaluation_sets(bench, candidate.names)
    after, speed_ms = score(bench, candidate, sets, bench.folder / "evaluate" / "after", worst=WORST)
    before: tuple[SetScore, ...] = ()
    compared: tuple[DonorScore, ...] = ()
    if bench.merges:
        before, compared = _donors_before(bench, sets, after)
    elif analysis.old_classes:
        before, _ = score(bench, published_detector(bench), sets, bench.folder / "evaluate" / "before")
    old_before, old_after = compare(before, after, analysis.old_classes)
    record = EvaluateRecord(
        before=before,
        after=after,
        old_classes=analysis.old_classes,
        new_classes=analysis.new_classes,
        map50_before=old_before,
        map50=_mean(list(class_means(after).values())) or 0.0,
        map50_95=mean_map50_95(after),
        forgetting=None if old_before is None or old_after is None else old_before - old_after,
        gain=_mean([value for name, value in class_means(after).items() if name in analysis.new_classes]),
        speed_ms=speed_ms,
        donors=compared,
        duration_s=time.monotonic() - start_s,
    )
    _measure(bench, record)
    return record


def _donors_before(
    bench: Workbench, sets: Sequence[EvaluationSet], after: Sequence[SetScore]
) -> tuple[tuple[SetScore, ...], tuple[DonorScore, ...]]:
    """The donors' scores, of each class on each set the best; and each beside the merged model on its classes."""
    best: dict[tuple[str, str], SetScore] = {}
    compared = []
    for place, (donor, network) in enumerate(donor_networks(bench)):
        found, _ = score(bench, make_detector(bench, network), sets, bench.folder / "evaluate" / f"donor-{place}")
        found = tuple(_only(item, set(donor.classes)) for item in found)
        for item in found:
            other = best.get((item.kind, item.name))
            best[item.kind, item.name] = item if other is None else _better(other, item)
        theirs, ours = compare(found, after, donor.classes)
        if theirs is not None and ours is not None:
            shown = tuple(name for name in donor.classes if name in class_means(found))
            compared.append(DonorScore(uri=donor.uri, classes=shown, map50_before=theirs, map50=ours))
    return tuple(best.values()), tuple(compared)


def _better(one: SetScore, other: SetScore) -> SetScore:
    classes = dict(one.classes)
    for name, found in other.classes.items():
        if name not in classes or found.map50 > classes[name].map50:
            classes[name] = found
    return one.model_copy(update={"classes": classes})


def evaluation_sets(bench: Workbench, names: tuple[str, ...]) -> list[EvaluationSet]:
    """Every hold-out and every val split, this round's and the earlier ones', in terms of `names`."""
    datasets = load_datasets(verified_path(bench.folder))
    kept = [dataset for dataset in remembered_datasets(bench) if dataset.val]
    sets = [_evaluation_set(dataset, names) for dataset in (*datasets, *kept) if dataset.val]
    return [item for item in sets if any(len(sample.boxes) for sample in item.samples)]


def score(
    bench: Workbench, detector: YoloDetector, sets: Sequence[EvaluationSet], folder: Path, worst: int = 0
) -> tuple[tuple[SetScore, ...], float]:
    """One model on all sets, and its mean inference time per image in milliseconds."""
    scores, speeds = [], []
    for done, item in enumerate(sets):
        bench.progress("evaluate", done, len(sets), "sets", item.name)
        samples = [_restrict(sample, item.names, detector.names) for sample in item.samples]
        if not any(len(sample.boxes) for sample in samples):
            continue  # the detector knows none of the set's classes
        result, speed_ms = evaluate_set(
            detector, samples, name=item.name, kind=item.kind, folder=folder / item.kind / item.name, worst=worst
        )
        scores.append(result)
        speeds.append(speed_ms)
    return tuple(scores), _mean(speeds) or 0.0


def class_means(scores: Sequence[SetScore]) -> dict[str, float]:
    """mAP50 per class: the mean over the sets that the class occurs in."""
    values: dict[str, list[float]] = {}
    for item in scores:
        for name, found in item.classes.items():
            values.setdefault(name, []).append(found.map50)
    return {name: sum(found) / len(found) for name, found in values.items()}


def mean_map50_95(scores: Sequence[SetScore]) -> float:
    """Mean over classes and sets, 0..1."""
    return _mean([found.map50_95 for item in scores for found in item.classes.values()]) or 0.0


def compare(
    before: Sequence[SetScore], after: Sequence[SetScore], old_classes: tuple[str, ...]
) -> tuple[float | None, float | None]:
    """Mean mAP50 over the old classes, before and after, over the same classes of the same sets."""
    old_before = [value for name, value in class_means(before).items() if name in old_classes]
    known = {(item.kind, item.name): set(item.classes) for item in before}
    same = [_only(item, known.get((item.kind, item.name), set())) for item in after]
    old_after = [value for name, value in class_means(same).items() if name in old_classes]
    return _mean(old_before), _mean(old_after)


def _only(scores: SetScore, names: set[str]) -> SetScore:
    return scores.model_copy(
        update={"classes": {name: scores.classes[name] for name in scores.classes if name in names}}
    )


def _evaluation_set(dataset: DataSet, names: tuple[str, ...]) -> EvaluationSet:
    samples = tuple(_restrict(sample, dataset.names, names) for sample in dataset.val)
    kind: Literal["holdout", "val"] = "holdout" if dataset.kind == "holdout" else "val"
    return EvaluationSet(dataset.name, kind, names, samples)


def _restrict(sample: Sample, from_names: tuple[str, ...], to_names: tuple[str, ...]) -> Sample:
    return replace(sample, boxes=remap(sample.boxes, from_names, to_names, drop_unknown=True))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _measure(bench: Workbench, record: EvaluateRecord) -> None:
    measured = {"before": record.map50_before, "after": record.map50}
    for when, value in measured.items():
        if value is not None:
            bench.observer(Measured("treering_round_map50_ratio", value, {"when": when}))
    if record.forgetting is not None:
        bench.observer(Measured("treering_round_forgetting_ratio", record.forgetting))
