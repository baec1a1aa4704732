"""Free arguments of ultralytics: taken where they act, refused by name where they can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.tiny_training import make_recipe, make_samples, make_settings
from treering_api import BadSpecError
from treering_api.training import RESERVED_OVERRIDES
from treering_trainer.yolo.arguments import FREE, arguments, check_overrides


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"mosiac": 0.5},
            "spec.training.overrides.mosiac: ultralytics has no such argument. Did you mean mosaic?",
        ),
        (
            {"nbs": 64},
            "spec.training.overrides.nbs: this argument of ultralytics is set by Treering itself or does nothing in "
            f"its trainings. Leave it out. What may stand here: {', '.join(FREE)}.",
        ),
        (
            {"mosaic": 1.5},
            "spec.training.overrides.mosaic: ultralytics does not take 1.5. It says: 'mosaic=1.5' is an invalid value. "
            "Valid 'mosaic' values are between 0.0 and 1.0.",
        ),
        (
            {"box": "seven"},
            "spec.training.overrides.box: ultralytics does not take 'seven'. It says: 'box=seven' is of invalid type "
            "str. Valid 'box' types are int (i.e. 'box=0') or float (i.e. 'box=0.5')",
        ),
        (
            {"quantum": 1},
            "spec.training.overrides.quantum: ultralytics has no such argument. "
            f"What may stand here: {', '.join(FREE)}.",
        ),
    ],
    ids=["misspelt", "known-but-not-free", "out-of-range", "wrong-type", "unlike-any"],
)
def test_check_overrides__refused(overrides: dict[str, bool | int | float | str], message: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        check_overrides(overrides)
    assert str(caught.value) == message


def test_arguments__free_ones_are_handed_on(tmp_path: Path) -> None:
    settings = make_settings(overrides={"mosaic": 0.25, "warmup_bias_lr": 0.05, "cls_pw": 0.5})
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path, 1), settings=settings)
    told = arguments(recipe)
    assert (told["mosaic"], told["warmup_bias_lr"], told["cls_pw"]) == (0.25, 0.05, 0.5)


@pytest.mark.parametrize(("optimizer", "expected"), [("AdamW", 0.0), ("Adam", 0.0), ("SGD", 0.1)])
def test_arguments__biases_of_adam_start_gently(optimizer: str, expected: float, tmp_path: Path) -> None:
    settings = make_settings(optimizer=optimizer, overrides={})  # type: ignore[arg-type]  # one of the three
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path, 1), settings=settings)
    assert arguments(recipe)["warmup_bias_lr"] == expected


def test_free__nothing_that_the_spec_reserves_or_treering_sets(tmp_path: Path) -> None:
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path, 1), settings=make_settings(overrides={}))
    set_by_treering = arguments(recipe).keys() - {"warmup_bias_lr"}
    assert not set(FREE) & (set_by_treering | RESERVED_OVERRIDES.keys())
