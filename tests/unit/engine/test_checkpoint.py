"""Checkpoints: exact, of one training only, and data only."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.plugins.tiny_training import make_recipe, make_samples, make_settings
from treering_api import Freeze
from treering_trainer.engine.checkpoint import fingerprint_of, load_checkpoint, save_checkpoint
from treering_trainer.engine.recipe import Recipe
from treering_trainer.policies.freeze import FreezePolicy
from treering_trainer.policies.interface import Situation


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_save_checkpoint__comes_back_in_its_own_precision(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "checkpoint.pt"
    state = {"a": torch.rand(3, dtype=torch.float64), "b": [torch.rand(2).bfloat16()], "c": {"epoch": 3, "best": None}}
    save_checkpoint(path, state, fingerprint="x")
    loaded = load_checkpoint(path, fingerprint="x")
    assert loaded is not None
    assert torch.equal(loaded["a"], state["a"]) and loaded["a"].dtype == torch.float64  # type: ignore[arg-type]  # a tensor
    assert loaded["b"][0].dtype == torch.bfloat16
    assert loaded["c"] == {"epoch": 3, "best": None}


def test_load_checkpoint__of_another_training(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", {}, fingerprint="x")
    assert load_checkpoint(tmp_path / "c.pt", fingerprint="y") is None
    assert load_checkpoint(tmp_path / "absent.pt", fingerprint="x") is None


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "no-dictionary", "code"])
def test_load_checkpoint__that_can_not_be_read(damage: str, tmp_path: Path) -> None:
    path, marker = tmp_path / "c.pt", tmp_path / "ran"
    save_checkpoint(path, {"a": torch.zeros(1000)}, fingerprint="x")
    if damage == "no-dictionary":
        torch.save([1, 2], path)
    elif damage == "code":
        torch.save({"format": 2, "fingerprint": "x", "evil": Payload(marker)}, path)
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "truncated": path.read_bytes()[:-500]}[damage])
    assert load_checkpoint(path, fingerprint="x") is None
    assert not marker.exists()


def freeze(layers: int) -> FreezePolicy:
    return FreezePolicy(Freeze(layers=layers), Situation("incremental", 0, ("a", "b", "c")))


def other_boxes(recipe: Recipe) -> Recipe:
    first, *rest = recipe.new
    return replace(recipe, new=(replace(first, boxes=first.boxes[:1]), *rest))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda recipe: replace(recipe, settings=make_settings(epochs=9)), False),
        (lambda recipe: replace(recipe, names=("a", "c", "b")), False),
        (lambda recipe: replace(recipe, image_size=96), False),
        (lambda recipe: replace(recipe, batch_share=0.5), False),
        (lambda recipe: replace(recipe, new=recipe.new[:1], memory=recipe.new[1:]), False),
        (other_boxes, False),
        (lambda recipe: replace(recipe, policies=(freeze(2),)), False),
        (lambda recipe: replace(recipe, policies=(freeze(1),)), True),
        (lambda recipe: replace(recipe, settings=replace(recipe.settings, workers=8)), True),
        (lambda recipe: replace(recipe, folder=Path("/elsewhere")), True),
    ],
    ids=[
        *("epochs", "names", "size", "share", "memory", "labels", "policy"),
        *("like-policy", "other-processors", "other-folder"),
    ],
)
def test_fingerprint__names_the_training(change: Callable[[Recipe], Recipe], same: bool, tmp_path: Path) -> None:
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path, 2), policies=(freeze(1),))
    weights = [torch.ones(3)]
    assert (fingerprint_of(recipe, weights) == fingerprint_of(change(recipe), weights)) is same


def test_fingerprint__weights_count(tmp_path: Path) -> None:
    recipe, _ = make_recipe(tmp_path, make_samples(tmp_path, 1))
    assert fingerprint_of(recipe, [torch.zeros(3)]) != fingerprint_of(recipe, [torch.ones(3)])
