"""Where nothing is known nothing is learned: ignored boxes on their way through augmentation, in loss and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ultralytics.cfg import get_cfg

from tests.plugins.tiny_training import (
    ARCHITECTURE,
    IMAGE_SIZE,
    TWO_BRANCHES,
    make_recipe,
    make_samples,
    make_settings,
    seeing_model,
    tiny_model,
)
from treering_trainer.dataset import Sample, no_boxes
from treering_trainer.engine.order import Place
from treering_trainer.policies.interface import Dense
from treering_trainer.yolo import losses
from treering_trainer.yolo.losses import PolicyLoss, heeded, split_ignored
from treering_trainer.yolo.samples import training_set
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import train

NAMES = ("a", "b", "c")
TOOLBOX = YoloToolbox(IMAGE_SIZE, "cpu")
HYP = get_cfg(overrides={"imgsz": IMAGE_SIZE, "mosaic": 1.0, "mixup": 0.3, "fliplr": 0.5, "degrees": 5.0})
WHOLE = (0.5, 0.5, 1.0, 1.0)


def gradients(architecture: dict[str, Any], images: torch.Tensor, batch: dict[str, Any]) -> list[torch.Tensor]:
    """Of the class logits, by branch of the head: (images, classes, anchors)."""
    model: Any = tiny_model(NAMES, architecture=architecture)
    model.args = get_cfg()
    model.train()
    found: Any = model(images)
    branches = [found] if "scores" in found else [found["one2many"], found["one2one"]]
    for branch in branches:
        branch["scores"].retain_grad()
    total, _ = PolicyLoss(model.init_criterion(), (), model, TOOLBOX)(found, batch)
    total.backward()
    return [branch["scores"].grad for branch in branches]


def batch_of(images: torch.Tensor, *rows: tuple[float, ...]) -> dict[str, Any]:
    """Rows are image, class, centre x, centre y, width, height."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return {"img": images, "batch_idx": table[:, 0], "cls": table[:, 1:2], "bboxes": table[:, 2:]}


def inside(anchors: torch.Tensor, box: Sequence[float]) -> torch.Tensor:
    x, y, width, height = box
    return ((anchors[:, 0] - x).abs() <= width / 2) & ((anchors[:, 1] - y).abs() <= height / 2)


def anchors_of(architecture: dict[str, Any], images: torch.Tensor) -> torch.Tensor:
    model = tiny_model(NAMES, architecture=architecture).train()
    return TOOLBOX.dense(model, model(images))[0].anchors


@pytest.mark.parametrize("architecture", [ARCHITECTURE, TWO_BRANCHES], ids=["one-branch", "two-branches"])
def test_ignored_box__no_class_gradient_inside_and_all_of_it_elsewhere(architecture: dict[str, Any]) -> None:
    torch.manual_seed(0)
    images, band = torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE), (0.7, 0.3, 0.4, 0.5)
    objects = (0, 1, 0.25, 0.7, 0.4, 0.4)
    plain = gradients(architecture, images, batch_of(images, objects))
    blind = gradients(architecture, images, batch_of(images, objects, (0, 3 + 2, *band)))
    covered = inside(anchors_of(architecture, images), band)
    assert 0 < covered.sum() < len(covered)
    for before, after in zip(plain, blind, strict=True):
        assert (before[0, 2, covered] != 0).all() and (after[0, 2, covered] == 0).all()
        after[0, 2, covered] = before[0, 2, covered]
        assert torch.equal(before, after), "other places, other classes and other images learn as they did"


def test_ignored_box__where_an_object_is_it_is_none_of_the_others() -> None:
    torch.manual_seed(0)
    images = torch.rand(1, 3, IMAGE_SIZE, IMAGE_SIZE)
    (gradient,) = gradients(
        ARCHITECTURE, images, batch_of(images, (0, 1, 0.3, 0.3, 0.5, 0.5), (0, 3 + 2, *WHOLE), (0, 3 + 1, *WHOLE))
    )
    positive = gradient[0, 1] != 0
    assert 0 < positive.sum() < len(positive)
    assert (gradient[0, 2, positive] > 0).all(), "pushed down where a b is"
    assert (gradient[0, 2, ~positive] == 0).all() and (gradient[0, 0] != 0).all()


def test_unknown_class__counts_at_every_anchor_that_sees_a_labelled_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only at the few that the assigner gives it: else a new class takes over old ones that look like it."""
    torch.manual_seed(0)
    images, (x, y, width, height) = torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE), (0.5, 0.5, 0.9, 0.9)
    seen, half = anchors_of(ARCHITECTURE, images), torch.tensor([width, height]) / 2
    near = inside(seen, (x, y, 0.6, 0.6))

    def drawn(dense: Dense, *_: int) -> torch.Tensor:
        """Anchors in the middle draw the object's box, all others a small one, such as that of a part of it."""
        sizes = torch.where(near[:, None], half, torch.tensor(0.05))
        centres = torch.where(near[:, None], torch.tensor([x, y]), seen)
        return (torch.cat([centres - sizes, centres + sizes], dim=1) * IMAGE_SIZE).expand(len(dense.scores), -1, -1)

    monkeypatch.setattr(losses, "corners", drawn)
    unknown = (0, 3 + 2, *WHOLE), (1, 3 + 2, *WHOLE)
    (gradient,) = gradients(ARCHITECTURE, images, batch_of(images, (0, 1, x, y, width, height), *unknown))
    assigned = gradient[0, 1] < 0
    assert assigned.sum() < near.sum()
    assert torch.equal(gradient[0, 2] > 0, near | assigned)
    assert (gradient[1, 2] == 0).all(), "in another image"


def with_boxes(samples: Sequence[Sample], *, ignored: bool) -> list[Sample]:
    if not ignored:
        return list(samples)
    return [replace(sample, boxes=no_boxes(), ignored=sample.boxes) for sample in samples]


def test_ignored_boxes__travel_through_mosaic_as_objects_do(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 6)
    shown = []
    for ignored in (False, True):
        dataset = training_set(with_boxes(samples, ignored=ignored), NAMES, HYP, batch=6, stride=32)
        shown.append(dataset.collate_fn([dataset[Place(index, 40 + index)] for index in range(6)]))
    objects, unknown = shown
    assert len(objects["cls"]) > 6, "mosaics show several images"
    assert torch.equal(unknown["bboxes"], objects["bboxes"])
    assert torch.equal(unknown["cls"], objects["cls"] + len(NAMES))
    kept, rows = split_ignored(unknown, len(NAMES))
    assert len(kept["cls"]) == len(kept["bboxes"]) == len(kept["batch_idx"]) == 0
    assert torch.equal(rows[:, 1:2], objects["cls"])
    images = unknown["img"].float() / 255
    (gradient,) = gradients(ARCHITECTURE, images, {**unknown, "img": images})
    anchors = anchors_of(ARCHITECTURE, images)
    expected = torch.ones_like(gradient, dtype=torch.bool)
    for image, kind, *box in rows.tolist():
        expected[int(image), int(kind), inside(anchors, box)] = False
    assert torch.equal(gradient != 0, expected)
    assert 0.1 < float(expected.float().mean()) < 0.95


def test_unknown_class__in_its_own_part_of_a_mosaic_alone(tmp_path: Path) -> None:
    """One remembered image among others that speak of every class: what it does not know stops at its edges."""
    first, *others = make_samples(tmp_path, 4)
    whole = replace(first, ignored=np.array([(2, *WHOLE)]))
    dataset = training_set([whole, *others], NAMES, HYP, batch=4, stride=32)
    shares = []
    for seed in range(12):
        batch = dataset.collate_fn([dataset[Place(0, seed)]])
        images = batch["img"].float()
        model = tiny_model(NAMES).train()
        _, rows = split_ignored(batch, len(NAMES))
        counts = heeded(TOOLBOX.dense(model, model(images / 255))[0], rows)
        assert counts[0, :, :2].all()
        shares.append(float(counts[0, :, 2].float().mean()))
    assert min(shares) < 0.9
    assert any(0.1 < share < 0.9 for share in shares)


def test_heeded__thousands_of_boxes_at_once_as_one_by_one() -> None:
    torch.manual_seed(1)
    images = torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    model = tiny_model(NAMES).train()
    (dense,) = TOOLBOX.dense(model, model(images))
    table = torch.rand(2500, 6) * torch.tensor([2, 3, 1, 1, 0.05, 0.05])
    table[:, :2] = table[:, :2].floor()
    expected = torch.ones(dense.scores.shape, dtype=torch.bool)
    for image, kind, *box in table.tolist():
        expected[int(image), int(kind), inside(dense.anchors, box)] = False
    assert torch.equal(heeded(dense, table), expected.permute(0, 2, 1))


def test_class_counts__of_ultralytics_know_nothing_of_ignored_boxes(tmp_path: Path) -> None:
    samples = [
        replace(sample, ignored=np.array([(2, *WHOLE), (0, 0.5, 0.5, 0.2, 0.2)]))
        for sample in make_samples(tmp_path, 4)
    ]
    settings = make_settings(epochs=1, overrides={"close_mosaic": 0, "cls_pw": 0.5})
    recipe, audience = make_recipe(tmp_path / "train", tuple(samples), settings=settings)
    train(recipe, tiny_model(NAMES), None)
    assert np.isfinite(list(audience.records[0].losses.values())).all()


def test_toolbox__measures_by_objects_alone(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 4)
    band = [replace(sample, ignored=np.array([(2, 0.5, 0.5, 0.5, 0.5)])) for sample in samples]
    model = seeing_model(NAMES)
    assert TOOLBOX.map50(model, band) == TOOLBOX.map50(model, samples)
    unknown = [replace(samples[0], boxes=no_boxes(), ignored=np.array([(kind, *WHOLE) for kind in range(3)]))]
    ((images, batch),) = TOOLBOX.batches(unknown, NAMES, batch=1)
    _, rows = split_ignored(dict(batch), len(NAMES))
    (dense,) = TOOLBOX.dense(model, model(images))
    margin = heeded(dense, rows).permute(0, 2, 1)
    assert 0 < margin.float().mean() < 1, "the grey margin around the picture is known to be background"
    left = torch.nn.functional.softplus(dense.scores)[margin].sum() * HYP.cls
    assert float(TOOLBOX.loss(model, images, batch).detach()) == pytest.approx(float(left.detach()), rel=1e-4)
