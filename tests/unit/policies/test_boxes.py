"""Which anchor means which object: corners, overlaps and labels as tensors."""

from __future__ import annotations

import pytest
import torch

from treering_trainer.dataset import SAME_OBJECT
from treering_trainer.policies import boxes as module
from treering_trainer.policies.boxes import (
    corners,
    distance_iou,
    intersection_over_union,
    labelled_objects,
    on_objects,
)
from treering_trainer.policies.interface import Dense


def dense(sides: torch.Tensor) -> Dense:
    """Two anchors, in the middle of the left and the right half, 32 pixels apart."""
    anchors = torch.tensor([[0.25, 0.5], [0.75, 0.5]])
    return Dense(torch.zeros(len(sides), 1, 2), sides, anchors, torch.tensor([8.0, 16.0]))


def test_corners__of_distributions_and_of_plain_distances_agree() -> None:
    bins = torch.full((1, 4, 16, 2), -100.0)
    bins[:, :, 2] = 100.0
    wanted = torch.tensor([[[0.0, 16.0, 32.0, 48.0], [16.0, 0.0, 80.0, 64.0]]])
    assert torch.allclose(corners(dense(bins), 64, 64), wanted)
    assert torch.allclose(corners(dense(torch.full((1, 4, 1, 2), 2.0)), 64, 64), wanted)


def test_distance_iou__knows_how_far_apart_boxes_are() -> None:
    box, near, far = torch.tensor([[0.0, 0, 10, 10], [20.0, 0, 30, 10], [90.0, 0, 100, 10]])
    assert distance_iou(box, box).item() == pytest.approx(1, abs=1e-5)
    assert intersection_over_union(box, near).item() == 0
    assert -1 < distance_iou(box, far) < distance_iou(box, near) < 0
    assert distance_iou(box, near).item() == pytest.approx(-(20**2) / (30**2 + 10**2))


def test_on_objects__only_in_the_image_that_has_the_object() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [40.0, 40, 60, 60]]).repeat(2, 1, 1)
    found = on_objects(boxes, torch.tensor([1]), torch.tensor([[0.0, 0, 10, 12]]))
    assert found.tolist() == [[False, False], [True, False]]


def test_on_objects__hundreds_at_once_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    places = torch.rand(3, 40, 2, generator=generator) * 60
    boxes = torch.cat([places, places + 20], dim=2)
    images, objects = torch.randint(0, 3, (50,), generator=generator), boxes[0].repeat(2, 1)[:50] + 2.0
    expected = torch.zeros(3, 40, dtype=torch.bool)
    for image, box in zip(images.tolist(), objects, strict=True):
        expected[image] |= intersection_over_union(boxes[image], box) >= SAME_OBJECT
    monkeypatch.setattr(module, "AT_ONCE", 7)
    assert 0 < expected.sum() < expected.numel()
    assert torch.equal(on_objects(boxes, images, objects), expected)


def test_on_objects__of_none() -> None:
    none = on_objects(torch.rand(2, 5, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
    assert none.shape == (2, 5) and not none.any()


def test_labelled_objects__in_pixels_of_the_input() -> None:
    batch = {
        "img": torch.zeros(2, 3, 100, 200),
        "batch_idx": torch.tensor([1.0]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.25, 0.5]]),
    }
    images, objects = labelled_objects(batch)
    assert images.tolist() == [1] and objects.tolist() == [[75.0, 25.0, 125.0, 75.0]]
