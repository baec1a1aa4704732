"""Old classes keep their rows bit for bit and their answers, however the head grows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.plugins.tiny_training import ARCHITECTURE, TWO_BRANCHES, WIDE, differing, tensors_of, tiny_model
from treering_trainer.yolo.head import build, grow_head
from treering_trainer.yolo.parts import class_branches, class_names, head_of, hidden_width, last_convolution
from treering_trainer.yolo.types import DetectionModel

V10: dict[str, Any] = {**ARCHITECTURE, "head": [*ARCHITECTURE["head"][:-1], [[9, 6], 1, "v10Detect", ["nc"]]]}


def numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(count))


def raw_scores(model: DetectionModel) -> list[torch.Tensor]:
    """Class logits of every branch, (images, classes, anchors)."""
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        predictions = model.eval()(images)[1]
    branches = [predictions[key] for key in ("one2many", "one2one")] if "one2many" in predictions else [predictions]
    return [branch["scores"] for branch in branches]


CASES = {
    "appended": (ARCHITECTURE, ("a", "b"), ("a", "b", "c")),
    "reordered": (ARCHITECTURE, ("a", "b", "c"), ("c", "new", "a", "b")),
    "numbers-as-names": (ARCHITECTURE, ("0", "1", "2"), ("2", "0", "1", "3")),
    "other-case-is-another-class": (ARCHITECTURE, ("ace", "king"), ("Ace", "king", "ace")),
    "fewer": (ARCHITECTURE, ("a", "b", "c"), ("c",)),
    "width-would-grow": (WIDE, numbered(3), numbered(70)),
    "width-would-shrink": (WIDE, numbered(80), ("class 79", "new")),
    "two-branches": (TWO_BRANCHES, ("a", "b"), ("new", "b", "a")),
    "v10": (V10, ("a", "b"), ("b", "new", "a")),
}


@pytest.mark.parametrize(("architecture", "old", "new"), CASES.values(), ids=CASES.keys())
def test_grow_head__old_classes(architecture: dict[str, Any], old: tuple[str, ...], new: tuple[str, ...]) -> None:
    source = tiny_model(old, architecture=architecture)
    before, scores_before = tensors_of(source), raw_scores(source)
    grown = grow_head(source, new, seed=1)

    assert class_names(grown) == new
    assert (grown.yaml["nc"], head_of(grown).nc) == (len(new), len(new))  # type: ignore[index]  # torch knows no dicts
    assert hidden_width(grown) == hidden_width(source)
    kept = [name for name in new if name in old]
    for branch_before, branch_after in zip(class_branches(source), class_branches(grown), strict=True):
        for level_before, level_after in zip(branch_before, branch_after, strict=True):
            left, right = last_convolution(level_before), last_convolution(level_after)
            assert left.bias is not None and right.bias is not None
            for name in kept:
                assert torch.equal(left.weight[old.index(name)], right.weight[new.index(name)])
                assert torch.equal(left.bias[old.index(name)], right.bias[new.index(name)])
    for left_scores, right_scores in zip(scores_before, raw_scores(grown), strict=True):
        old_rows, new_rows = [old.index(name) for name in kept], [new.index(name) for name in kept]
        torch.testing.assert_close(right_scores[:, new_rows], left_scores[:, old_rows], rtol=1e-5, atol=1e-5)
    assert differing(before, tensors_of(source)) == [], "the source is left alone"


def test_grow_head__every_other_weight_stays() -> None:
    source = tiny_model(numbered(3), architecture=WIDE)
    grown = grow_head(source, numbered(70), seed=1).state_dict()
    last = [f"{name}." for name, layer in source.named_modules() if layer in set(_class_convolutions(source))]
    rest = [name for name in grown if not name.startswith(tuple(last))]
    assert len(rest) == len(grown) - 2 * len(last) and len(last) == 2
    assert all(torch.equal(grown[name], source.state_dict()[name]) for name in rest)


def _class_convolutions(model: DetectionModel) -> list[torch.nn.Conv2d]:
    return [last_convolution(level) for branch in class_branches(model) for level in branch]


def test_grow_head__new_rows_follow_the_seed() -> None:
    source = tiny_model(("a",))
    one, again, other = (tensors_of(grow_head(source, ("a", "b"), seed=seed)) for seed in (1, 1, 2))
    assert differing(one, again) == []
    assert len(differing(one, other)) == 2  # the weights of two levels; their biases are the prior


def test_grow_head__new_classes_start_improbable() -> None:
    grown = grow_head(tiny_model(("a",)), ("a", "b"), seed=0)
    assert all(float(scores[:, 1].sigmoid().max()) < 0.02 for scores in raw_scores(grown))


@pytest.mark.parametrize(("classes", "width"), [(70, 64), (2, 80), (3, 64), (120, 100)])
def test_build__pinned_width(classes: int, width: int) -> None:
    model = build(WIDE, numbered(classes), width)
    assert (hidden_width(model), len(class_names(model))) == (width, classes)


def test_build__a_width_that_can_not_be() -> None:
    with pytest.raises(ValueError, match="only 64"):
        build(WIDE, numbered(3), 48)


def test_build__leaves_the_description_alone() -> None:
    description = {**ARCHITECTURE, "yaml_file": "/home/someone/secret.yaml"}
    model = build(description, ("x",))
    assert description["nc"] == 3
    assert "yaml_file" not in model.yaml  # type: ignore[operator]  # torch knows no dicts
