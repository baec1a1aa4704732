"""A training that was cut off anywhere and run again ends bit for bit where an unbroken one ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.tiny_training import (
    ARCHITECTURE,
    TWO_BRANCHES,
    Killed,
    differing,
    make_recipe,
    make_samples,
    make_settings,
    tensors_of,
    tiny_model,
)
from treering_api import ResumableError
from treering_trainer.yolo import samples as samples_module
from treering_trainer.yolo.training import Trained, train
from treering_trainer.yolo.types import DetectionModel


@dataclass(frozen=True)
class Case:
    overrides: dict[str, bool | int | float | str] = field(default_factory=lambda: {"close_mosaic": 0})
    cached: bool = True
    batch_share: float | None = None
    memory: int = 0
    patience: int = 0
    optimizer: Any = "AdamW"
    architecture: dict[str, Any] = field(default_factory=lambda: ARCHITECTURE)


CASES = {
    "mosaic": Case(),
    "mosaic-without-cache": Case(cached=False),
    "mosaic-closed-on-the-way": Case(overrides={"close_mosaic": 1, "mixup": 0.5, "multi_scale": 0.5}),
    "memory-share": Case(memory=3, batch_share=0.25),
    "early-stopping": Case(patience=2),
    "momentum-in-warm-up": Case(optimizer="SGD", memory=2),
    "two-branches": Case(architecture=TWO_BRANCHES),
}


def closeness(start: DetectionModel) -> Callable[[DetectionModel], float]:
    """A fitness that depends on the weights alone and falls with every epoch."""
    before = tensors_of(start)

    def validate(model: DetectionModel) -> float:
        after = model.state_dict()
        return 1.0 / (1.0 + sum(float((after[name].double() - before[name].double()).abs().sum()) for name in before))

    return validate


def run(
    case: Case, folder: Path, pictures: Path, *, stop_at: int | None = None, kill_at: int | None = None
) -> tuple[Trained, list[tuple[int, int]]]:
    new = make_samples(pictures, 8)
    recipe, audience = make_recipe(
        folder,
        new,
        make_samples(pictures, case.memory, seed=9),
        settings=make_settings(
            epochs=4 if case.patience else 3, patience=case.patience, overrides=case.overrides, optimizer=case.optimizer
        ),
        batch_share=case.batch_share,
        stop_at=stop_at,
        kill_at=kill_at,
    )
    model = tiny_model(architecture=case.architecture)
    validate = closeness(model) if case.patience else None
    return train(recipe, model, validate), audience.passes


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_resume__ends_where_an_unbroken_training_ends(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "_fits_in_memory", lambda *_: case.cached)
    whole, passes = run(case, tmp_path / "whole", tmp_path / "pictures")
    per_epoch = len(passes) // len(whole.epochs)
    with pytest.raises(ResumableError, match="stopped by SIGTERM"):
        run(case, tmp_path / "cut", tmp_path / "pictures", stop_at=per_epoch + 1)  # in the middle of the second epoch
    resumed, _ = run(case, tmp_path / "cut", tmp_path / "pictures")

    assert differing(tensors_of(whole.model), tensors_of(resumed.model)) == []
    assert [epoch.losses for epoch in whole.epochs] == [epoch.losses for epoch in resumed.epochs]
    assert [epoch.fitness for epoch in whole.epochs] == [epoch.fitness for epoch in resumed.epochs]
    assert whole.best_epoch == resumed.best_epoch
    assert (whole.image_passes, whole.attempts) == (resumed.image_passes, resumed.attempts - 1)


def test_resume__killed_twice(tmp_path: Path) -> None:
    case = CASES["mosaic"]
    whole, _ = run(case, tmp_path / "whole", tmp_path / "pictures")
    for kill_at in (4, 3):
        with pytest.raises(Killed):
            run(case, tmp_path / "cut", tmp_path / "pictures", kill_at=kill_at)
    resumed, passes = run(case, tmp_path / "cut", tmp_path / "pictures")
    assert differing(tensors_of(whole.model), tensors_of(resumed.model)) == []
    assert [done for done, _ in passes] == [20, 24]
    assert resumed.attempts == 3


def test_resume__stopped_in_the_last_batch_of_an_epoch_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(ResumableError):
        run(CASES["mosaic"], tmp_path / "cut", tmp_path / "pictures", stop_at=4)
    resumed, passes = run(CASES["mosaic"], tmp_path / "cut", tmp_path / "pictures")
    assert len(passes) == 2, "only the third epoch was left"
    assert len(resumed.epochs) == 3


def test_resume__stopped_in_the_very_last_batch_is_finished(tmp_path: Path) -> None:
    trained, _ = run(CASES["mosaic"], tmp_path / "cut", tmp_path / "pictures", stop_at=6)
    assert len(trained.epochs) == 3


@pytest.mark.parametrize("case", [CASES["mosaic"], CASES["early-stopping"]], ids=["last-epoch", "stopped-early"])
def test_resume__a_finished_training_is_read_and_not_trained_further(case: Case, tmp_path: Path) -> None:
    whole, _ = run(case, tmp_path / "cut", tmp_path / "pictures")
    assert whole.stopped_early == bool(case.patience)
    again, passes = run(case, tmp_path / "cut", tmp_path / "pictures")
    assert passes == []
    assert differing(tensors_of(whole.model), tensors_of(again.model)) == []
    assert (whole.epochs, whole.best_epoch) == (again.epochs, again.best_epoch)


def test_resume__another_training_is_not_continued(tmp_path: Path) -> None:
    run(CASES["mosaic"], tmp_path / "cut", tmp_path / "pictures")
    other, passes = run(Case(overrides={"close_mosaic": 0, "box": 5.0}), tmp_path / "cut", tmp_path / "pictures")
    assert len(passes) == 6
    assert other.attempts == 1
