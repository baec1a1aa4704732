"""Free arguments of ultralytics: handed on, refused by name where ultralytics can't take the value."""

from __future__ import annotations

from pathlib import Path

import pytest
from ultralytics.utils import DEFAULT_CFG_DICT

from tests.plugins.tiny_training import make_recipe, make_samples, make_settings
from treering_api import BadSpecError
from treering_api.training import FREE_OVERRIDES, IDLE_OVERRIDES, RESERVED_OVERRIDES
from treering_trainer.yolo.arguments import arguments, check_overrides


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
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
    ],
    ids=["out-of-range", "wrong-type"],
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
    assert not set(FREE_OVERRIDES) & (set_by_treering | RESERVED_OVERRIDES.keys())


def test_overrides__every_argument_of_ultralytics_is_known_to_the_api() -> None:
    known = [*FREE_OVERRIDES, *RESERVED_OVERRIDES, *IDLE_OVERRIDES]
    assert len(known) == len(set(known))
    assert DEFAULT_CFG_DICT.keys() <= set(known)
