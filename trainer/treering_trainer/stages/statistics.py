"""What a round keeps in numbers for the rounds after it: made by `export`, published as `statistics.json`.

The new model's features of the round's images are measured. Those of earlier increments are read from images where a
full round has them, else translated from what was kept: the images are gone, or remembered only in part.
"""

from __future__ import annotations

from collections.abc import Sequence

from treering_trainer.analysis.history import Statistics
from treering_trainer.analysis.labels import looseness, pair
from treering_trainer.analysis.portrait import with_looseness
from treering_trainer.dataset import DataSet
from treering_trainer.policies.interface import Detector
from treering_trainer.records import AnalyseRecord
from treering_trainer.stages.analyse import history_path
from treering_trainer.stages.measuring import draw_portrait, known_statistics, memory_datasets, see
from treering_trainer.stages.models import published_detector
from treering_trainer.stages.shelf import load_datasets
from treering_trainer.stages.verify import verified_path
from treering_trainer.stages.workbench import Workbench

KEPT_IMAGES, KEPT_BOXES = 200, 400
"""Rows of features kept of one increment."""
PAIRS = 100
"""Images that two models look at for the map between their features."""
MOST_IMAGES, MOST_BOXES = 2000, 3000
"""Rows of features kept of all of them: about 3 MB for a model of size n."""


def statistics(bench: Workbench, student: Detector) -> Statistics:
    """What is kept after this round: of its increments as the new model sees them, and of all earlier ones."""
    fresh = [dataset for dataset in load_datasets(verified_path(bench.folder)) if dataset.kind == "increment"]
    analysis = bench.record(AnalyseRecord)
    again: list[DataSet] = []
    if analysis.strategy == "full" and bench.plan.history:
        again = list(load_datasets(history_path(bench)))
    earlier = _earlier(bench, student, fresh) if not again else Statistics()
    now = _measured(bench, student, [*again, *fresh], analysis)
    seed = bench.plan.spec.training.seed
    return Statistics(
        portraits=(*earlier.portraits, *now.portraits),
        images=earlier.images.joined(now.images).thinned(MOST_IMAGES, seed),
        boxes=earlier.boxes.joined(now.boxes).thinned(MOST_BOXES, seed),
    )


def _measured(bench: Workbench, student: Detector, datasets: Sequence[DataSet], analysis: AnalyseRecord) -> Statistics:
    drawn = {portrait.name: portrait for portrait in (analysis.analysis.portraits if analysis.analysis else ())}
    result = Statistics()
    for dataset in datasets:
        seen = see(bench, "export", student, [dataset], KEPT_IMAGES)
        pairs = pair(seen.samples, seen.names, seen.glance, seen.model_names)
        portrait = drawn.get(dataset.name) or draw_portrait(bench, "export", dataset)
        images, boxes = seen.features()
        result = Statistics(
            portraits=(*result.portraits, with_looseness(portrait, looseness(pairs))),
            images=result.images.joined(images),
            boxes=result.boxes.joined(boxes.thinned(KEPT_BOXES, bench.plan.spec.training.seed)),
        )
    return result


def _earlier(bench: Workbench, student: Detector, fresh: Sequence[DataSet]) -> Statistics:
    """What was kept before, in the new model's space."""
    if isinstance(bench.plan.base, str):
        return Statistics()
    teacher = published_detector(bench)
    kept = known_statistics(bench, "export", teacher)
    shared = [*memory_datasets(bench), *fresh]
    before, after = (see(bench, "export", model, shared, PAIRS) for model in (teacher, student))
    return Statistics(
        portraits=kept.portraits,
        images=kept.images.translated(before.glance.images, after.glance.images),
        boxes=kept.boxes.translated(before.glance.boxes, after.glance.boxes),
    )
