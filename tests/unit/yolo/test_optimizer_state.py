"""An optimizer that goes on with the moments of another training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.plugins.tiny_training import differing, make_recipe, make_samples, make_settings, tensors_of, tiny_model
from treering_trainer.engine.checkpoint import fingerprint_of
from treering_trainer.engine.moments import OptimizerState
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.training import Trained, train

DEEP, CLASSES = "model.0.conv.weight", "model.10.cv3.0.2.weight"


def run(
    folder: Path, optimizer: OptimizerState | None, *, names: tuple[str, ...] = ("a", "b", "c"), kind: str = "AdamW"
) -> Trained:
    settings = replace(make_settings(epochs=1, optimizer=kind), warmup_epochs=0.0)  # type: ignore[arg-type]
    recipe, _ = make_recipe(folder, make_samples(folder.parent / "p", 8), settings=settings, names=names)
    model = tiny_model() if len(names) == 3 else grow_head(tiny_model(), names, seed=0)
    return train(replace(recipe, optimizer=optimizer), model, None)


@pytest.mark.parametrize("kind", ["AdamW", "SGD"])
def test_moments__go_on_and_change_the_steps(kind: str, tmp_path: Path) -> None:
    first = run(tmp_path / "first", None, kind=kind)
    assert first.optimizer.kind == kind
    held = first.optimizer.moments[DEEP]
    assert all(not value.dim() or value.dtype == torch.float32 for value in held.values())
    given = {key: value.clone() for key, value in held.items()}
    second = run(tmp_path / "second", first.optimizer, kind=kind)
    fresh = run(tmp_path / "fresh", None, kind=kind)
    assert differing(tensors_of(fresh.model), tensors_of(first.model)) == []
    assert DEEP in differing(tensors_of(fresh.model), tensors_of(second.model))
    assert all(torch.equal(given[key], held[key]) for key in given), "what was given stays as it was"
    if kind == "AdamW":
        assert (int(held["step"]), int(second.optimizer.moments[DEEP]["step"])) == (2, 4)


def test_moments__a_grown_head_s_rows_begin_afresh(tmp_path: Path) -> None:
    first = run(tmp_path / "first", None)
    grown = run(tmp_path / "grown", first.optimizer, names=("a", "b", "c", "d"))
    steps = {name: int(held["step"]) for name, held in grown.optimizer.moments.items()}
    assert steps[CLASSES] == 2 and steps[DEEP] == 4
    assert grown.optimizer.moments[CLASSES]["exp_avg"].shape[0] == 4


def test_moments__the_same_after_a_training_that_is_only_read(tmp_path: Path) -> None:
    first, again = run(tmp_path / "first", None), run(tmp_path / "first", None)
    assert first.optimizer.moments.keys() == again.optimizer.moments.keys()
    for name, held in first.optimizer.moments.items():
        assert all(torch.equal(value, again.optimizer.moments[name][key]) for key, value in held.items())


def test_moments__a_training_from_others_is_another_training(tmp_path: Path) -> None:
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path / "p", 2))
    weights = list(tiny_model().state_dict().values())
    states = [OptimizerState("AdamW", {"x": {"exp_avg": torch.full((1,), value)}}) for value in (1.0, 2.0)]
    prints = [fingerprint_of(replace(recipe, optimizer=state), weights) for state in (None, *states)]
    prints.append(fingerprint_of(replace(recipe, repeats=(1.0, 2.0)), weights))
    assert len(set(prints)) == 4
