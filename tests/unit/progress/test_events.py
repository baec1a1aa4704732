from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from treering_trainer.progress.events import EpochFinished, StageStarted, event_data, json_value
from treering_trainer.records import EpochRecord


def test_event__is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        StageStarted("fetch", 1, 9).stage = "train"  # type: ignore[misc]


def test_event_data__holds_records_as_json() -> None:
    record = EpochRecord(epoch=3, losses={"box": math.nan, "cls": 0.5}, learning_rate=0.01, images_per_s=math.inf)
    data = event_data(EpochFinished(record, 20))
    assert json.loads(json.dumps(data, allow_nan=False)) == {
        "record": {
            "epoch": 3,
            "losses": {"box": None, "cls": 0.5},
            "learning_rate": 0.01,
            "images_per_s": None,
            "fitness": None,
        },
        "epochs": 20,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(True, True, id="bool"),
        pytest.param(-math.inf, None, id="infinity"),
        pytest.param(("a", 1, None), ["a", 1, None], id="tuple"),
        pytest.param({1: {2.5}}, {"1": [2.5]}, id="nested"),
        pytest.param(Path("/x"), "/x", id="unknown object"),
    ],
)
def test_json_value__knows(value: object, expected: object) -> None:
    assert json_value(value) == expected
