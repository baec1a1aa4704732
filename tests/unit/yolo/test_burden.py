"""What would cost too much is refused before it is built; what ultralytics publishes is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ultralytics.nn.tasks import yaml_model_load

from tests.plugins.tiny_training import ARCHITECTURE, tiny_model
from treering_trainer.yolo.burden import refuse_burden

OFFICIAL = ("yolov8n", "yolov9t", "yolov9e", "yolov10n", "yolo11n", "yolo12n", "yolo26n")
NUMBERS = sum(tensor.numel() for tensor in tiny_model(("a",)).state_dict().values())


@pytest.mark.parametrize("name", OFFICIAL)
def test_burden__of_official_architectures_is_borne(name: str) -> None:
    refuse_burden(yaml_model_load(f"{name}.yaml"), 80, 40_000_000)


def changed(place: int, row: list[Any]) -> dict[str, Any]:
    description = copy.deepcopy(ARCHITECTURE)
    description["backbone"][place] = row
    return description


@pytest.mark.parametrize(
    ("description", "found"),
    [
        (changed(1, [-1, 1, "Conv", [10**9, 3, 2]]) | {"scales": {"n": [1, 1, 10**9]}}, "a network of"),
        (changed(1, [-1, 10**9, "Conv", [128, 3, 2]]), "repeated more than 200 times"),
        (changed(1, [-1, 1, "Conv", [128, 3, 1, 40_000]]), "a feature map of"),
        ({**ARCHITECTURE, "backbone": ARCHITECTURE["backbone"] * 100}, "layers, 500 are allowed"),
    ],
    ids=["weights", "repeats", "padding", "layers"],
)
def test_burden__too_heavy(description: dict[str, Any], found: str) -> None:
    refuse_burden(ARCHITECTURE, 1, NUMBERS)
    with pytest.raises(ValueError, match=found):
        refuse_burden(description, 1, NUMBERS)
