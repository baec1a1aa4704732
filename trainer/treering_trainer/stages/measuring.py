"""Measuring a delivery against what the line keeps of earlier ones: called by `analyse` before a round trains.

Costs less than an epoch of training: pictures are opened at a fraction of their size, and where there are very many a
seeded sample stands for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from treering_trainer.analysis.analysis import Seen, analyse_data
from treering_trainer.analysis.history import Statistics
from treering_trainer.analysis.labels import FAINTEST
from treering_trainer.analysis.portrait import portray, some
from treering_trainer.dataset import DataSet, Sample, remap
from treering_trainer.measures import Analysis, Portrait
from treering_trainer.policies.interface import Detector, Glance
from treering_trainer.stages.classes import labelled_classes
from treering_trainer.stages.fetch import MEMORY, STATISTICS, current_folder, line_memory
from treering_trainer.stages.models import published_detector
from treering_trainer.stages.workbench import Workbench

LOOKS = 2000
"""Images whose pictures are opened."""
GLANCES = 1000
"""Images that a model looks at."""
CHUNK = 128
"""Images between two looks at whether a stop was asked for."""
OVERLAP = 0.6
"""IoU from which two detections of one class are one object."""


def measure(bench: Workbench, datasets: Sequence[DataSet]) -> Analysis:
    """Everything measured of the round's increments."""
    seed = bench.plan.spec.training.seed
    increments = [dataset for dataset in datasets if dataset.kind == "increment"]
    portraits = [draw_portrait(bench, "analyse", dataset) for dataset in increments]
    seen, before = None, Statistics()
    if not isinstance(bench.plan.base, str):
        detector = published_detector(bench)
        before = known_statistics(bench, "analyse", detector)
        seen = see(bench, "analyse", detector, increments, GLANCES)
    return analyse_data(
        portraits,
        before,
        seen,
        looked_at=sum(min(len(dataset.train), LOOKS) for dataset in increments),
        labelled=frozenset[str]().union(*(labelled_classes(dataset) for dataset in increments)),
        pictures=_pictures(bench, increments),
        seed=seed,
    )


def draw_portrait(bench: Workbench, stage: str, dataset: DataSet) -> Portrait:
    """The portrait of what is learned from a data set."""

    def tell(done: int, total: int) -> None:
        bench.progress(stage, done, total, "images", f"{dataset.name}: looks")

    return portray(
        dataset.name,
        dataset.train,
        dataset.names,
        seed=bench.plan.spec.training.seed,
        most=LOOKS,
        workers=bench.threads,
        on_image=tell,
    )


def see(bench: Workbench, stage: str, detector: Detector, datasets: Sequence[DataSet], most: int) -> Seen:
    """What a model makes of the train images of some data sets, `most` of each at most."""
    names = tuple(dict.fromkeys(name for dataset in datasets for name in dataset.names))
    picked = [
        (dataset.name, sample, remap(sample.boxes, dataset.names, names))
        for dataset in datasets
        for sample in some(dataset.train, most, bench.plan.spec.training.seed)
    ]
    samples = tuple(replace(sample, boxes=boxes) for _, sample, boxes in picked)
    glance = _glance(bench, stage, detector, samples)
    return Seen(samples, tuple(source for source, _, _ in picked), names, detector.names, glance)


def known_statistics(bench: Workbench, stage: str, detector: Detector) -> Statistics:
    """What the line keeps of earlier increments; rounds of older versions kept nothing, there the memory stands in."""
    path = current_folder(bench) / STATISTICS
    if path.exists():
        return Statistics.model_validate_json(path.read_bytes())
    remembered = memory_datasets(bench)
    if not remembered:
        return Statistics()
    images, boxes = see(bench, stage, detector, remembered, GLANCES).features()
    portraits = tuple(draw_portrait(bench, stage, dataset) for dataset in remembered)
    return Statistics(portraits=portraits, images=images, boxes=boxes)


def memory_datasets(bench: Workbench) -> list[DataSet]:
    """What is remembered, by the increment that it came with."""
    names = bench.plan.known_classes
    index = {name: place for place, name in enumerate(names)}
    found: dict[str, list[Sample]] = {}
    for item in line_memory(bench, MEMORY).items:
        found.setdefault(item.increment, []).append(item.to_sample(bench.bank, index))
    return [DataSet(name, "memory", names, train=tuple(samples), val=()) for name, samples in found.items()]


def _glance(bench: Workbench, stage: str, detector: Detector, samples: Sequence[Sample]) -> Glance:
    parts = []
    for start in range(0, len(samples), CHUNK):
        bench.progress(stage, start, len(samples), "images", "the model's view")
        parts.append(detector.glance(samples[start : start + CHUNK], confidence=FAINTEST, overlap=OVERLAP))
    return Glance.joined(parts)


def _pictures(bench: Workbench, increments: Sequence[DataSet]) -> dict[str, str]:
    """Paths of the pictures that are on this machine, by SHA-256."""
    datasets = [*memory_datasets(bench), *increments]
    return {sample.sha256: str(sample.image) for dataset in datasets for sample in dataset.train}
