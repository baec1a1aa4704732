"""The weights that a round trains from: the published model's, the base's, several models' or none."""

from __future__ import annotations

from treering_trainer.stages.fetch import base_path, current_folder
from treering_trainer.stages.merge import fitted_classes, merged_model
from treering_trainer.stages.workbench import Workbench
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.parts import class_names
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import from_scratch, load_foreign, load_model, load_official


def starts_from_scratch(bench: Workbench, strategy: str) -> bool:
    """Whether the round's first weights are random."""
    return strategy == "full" and bench.plan.spec.model.from_scratch


def start_model(bench: Workbench, strategy: str, names: tuple[str, ...]) -> DetectionModel:
    """The weights to train, with a head for `names`: the published model's, or the base's in a full round."""
    seed = bench.plan.spec.training.seed
    if bench.merges:
        return merged_model(bench, names)[0]
    if strategy == "incremental":
        return grow_head(load_model(current_folder(bench)), names, seed=seed)
    base = bench.plan.spec.model.base
    if bench.plan.spec.model.from_scratch:
        return from_scratch(str(base_path(bench)) if "://" in base else base, names, shown_as=base, seed=seed)
    return grow_head(_base_model(bench), names, seed=seed)


def fitted_at_start(bench: Workbench, strategy: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Classes whose rows of the head fit the features below; of random weights all do, as little as any."""
    if bench.merges:
        return fitted_classes(merged_model(bench, names)[1])
    if strategy == "incremental":
        return bench.known_classes
    return names if bench.plan.spec.model.from_scratch else class_names(_base_model(bench))


def _base_model(bench: Workbench) -> DetectionModel:
    base = bench.plan.spec.model.base
    if "://" in base:
        return load_foreign(base_path(bench), shown_as=base)
    return load_official(base, bench.shared / "models" / "official")
