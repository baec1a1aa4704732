"""Several ranks learn what one process with the whole batch learns, and go on exactly where they were cut off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.plugins.ranks import in_ranks
from tests.plugins.tiny_training import (
    ARCHITECTURE,
    TWO_BRANCHES,
    differing,
    make_recipe,
    make_samples,
    make_settings,
    seeing_model,
    tensors_of,
    tiny_model,
)
from treering_api import Distill, Freeze, ResumableError, Unfreeze
from treering_trainer.engine.moments import OptimizerState
from treering_trainer.engine.ranks import Rank
from treering_trainer.engine.recipe import Recipe
from treering_trainer.policies.distill import DistillPolicy
from treering_trainer.policies.freeze import FreezePolicy
from treering_trainer.policies.interface import Policy, Situation
from treering_trainer.policies.unfreeze import UnfreezePolicy
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import Trained, has_ended, train, train_as_rank


@dataclass(frozen=True)
class Case:
    overrides: dict[str, Any] = field(default_factory=lambda: {"close_mosaic": 0, "multi_scale": 0.5})
    images: int = 10
    memory: int = 0
    batch_share: float | None = None
    optimizer: Any = "SGD"  # whose steps are as near as the gradients; Adam's first steps only know their signs
    architecture: dict[str, Any] = field(default_factory=lambda: ARCHITECTURE)
    statistics: str = ""
    distilled: bool = False
    unfreeze: bool = False
    repeats: tuple[float, ...] = ()


CASES = {
    "batch-statistics": Case(),
    "statistics-held": Case(statistics="all"),
    "memory-share": Case(images=9, memory=3, batch_share=0.25),
    "two-branches": Case(architecture=TWO_BRANCHES),
    "distilled": Case(distilled=True),
    "stages": Case(unfreeze=True, repeats=(1.0, 1.5) * 5),
}


def recipe_of(case: Case, folder: Path, pictures: Path, stop_at: int | None = None) -> Recipe:
    policies: tuple[Policy, ...] = ()
    if case.statistics:
        freeze = Freeze.model_validate({"layers": 2, "batchNorm": case.statistics, "rounds": "all"})
        policies = (FreezePolicy(freeze, Situation("incremental", 0, ("a", "b", "c"))),)
    if case.distilled:
        teacher = YoloDetector(seeing_model(("a", "b")), 64, "cpu")
        situation = Situation("incremental", 0, ("a", "b", "c"), ("a", "b"), teacher, toolbox=YoloToolbox(64, "cpu"))
        policies = (DistillPolicy(Distill(feature_weight=0.1), situation),)
    if case.unfreeze:
        schedule = Unfreeze(schedule="twoStage", rounds="all")
        policies = (UnfreezePolicy(schedule, Situation("full", 0, ("a", "b", "c"), toolbox=YoloToolbox(64, "cpu"))),)
    recipe, _ = make_recipe(
        folder,
        make_samples(pictures, case.images),
        make_samples(pictures, case.memory, seed=9),
        settings=make_settings(epochs=2, batch=4, overrides=case.overrides, optimizer=case.optimizer),
        batch_share=case.batch_share,
        policies=policies,
        repeats=case.repeats,
        stop_at=stop_at,
    )
    return recipe


def train_in_ranks(
    case: Case, folder: Path, pictures: Path, *, stop_rank: int | None = None, count: int = 2
) -> Trained:
    recipes = [recipe_of(case, folder, pictures, stop_at=4 if number == stop_rank else None) for number in range(count)]

    def work(rank: Rank) -> str:
        recipe = recipes[rank.number]
        recipe = recipe if rank.first else replace(recipe, folder=folder / str(rank.number))
        try:
            train_as_rank(recipe, tiny_model(architecture=case.architecture), None, rank)
        except ResumableError as error:
            return error.found
        return "ended"

    said = in_ranks(count, folder / "answers", work)
    assert said == (["ended"] if stop_rank is None else ["stopped by SIGTERM"]) * count
    recipe, model = recipe_of(case, folder, pictures), tiny_model(architecture=case.architecture)
    assert has_ended(recipe, model) == (stop_rank is None)
    return (
        train(recipe, model, None)
        if stop_rank is None
        else Trained(model, (), 0, False, 0, 0, 0, 0, {}, OptimizerState("AdamW", {}))
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_ranks__learn_what_one_process_learns(case: Case, tmp_path: Path) -> None:
    alone = train(recipe_of(case, tmp_path / "alone", tmp_path / "p"), tiny_model(architecture=case.architecture), None)
    start = tensors_of(tiny_model(architecture=case.architecture))
    shared = train_in_ranks(case, tmp_path / "shared", tmp_path / "p")
    assert shared.image_passes == alone.image_passes
    for one, other in zip(alone.epochs, shared.epochs, strict=True):
        assert other.losses == pytest.approx(one.losses, rel=1e-4)
        assert other.learning_rate == one.learning_rate
    before, after = tensors_of(alone.model), tensors_of(shared.model)
    moved = sum(float((before[name].double() - start[name].double()).norm()) for name in before)
    apart = sum(float((before[name].double() - after[name].double()).norm()) for name in before)
    assert moved > 0.1
    assert apart < 1e-3 * moved, (apart, moved)
    assert type(next(m for m in shared.model.modules() if isinstance(m, torch.nn.BatchNorm2d))) is torch.nn.BatchNorm2d


def test_ranks__stopped_on_one_they_all_stop_and_go_on_bit_for_bit(tmp_path: Path) -> None:
    case = Case(overrides={"close_mosaic": 1, "mixup": 0.5}, optimizer="AdamW", memory=3)
    whole = train_in_ranks(case, tmp_path / "whole", tmp_path / "p")
    train_in_ranks(case, tmp_path / "cut", tmp_path / "p", stop_rank=1)
    resumed = train_in_ranks(case, tmp_path / "cut", tmp_path / "p")
    assert differing(tensors_of(whole.model), tensors_of(resumed.model)) == []
    assert [epoch.losses for epoch in whole.epochs] == [epoch.losses for epoch in resumed.epochs]
    assert resumed.attempts == whole.attempts + 1


def test_ranks__that_would_train_different_things_are_refused(tmp_path: Path) -> None:
    recipe = recipe_of(Case(), tmp_path, tmp_path / "p")

    def work(rank: Rank) -> str:
        with pytest.raises(ResumableError, match="different trainings"):
            train_as_rank(recipe, tiny_model(seed=rank.number), None, rank)
        return "refused"

    assert in_ranks(2, tmp_path / "answers", work) == ["refused", "refused"]
