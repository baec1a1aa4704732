"""The arithmetic of distillation: formulas, scales, and where gradients go."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from treering_trainer.policies.boxes import corners
from treering_trainer.policies.distill.terms import box_distance, class_distance, side_distance, weighted_mean
from treering_trainer.policies.interface import Dense


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def dense(sides: torch.Tensor) -> Dense:
    """Two anchors, in the middle of the left and the right half, 32 pixels apart."""
    anchors = torch.tensor([[0.25, 0.5], [0.75, 0.5]])
    return Dense(torch.zeros(len(sides), 1, 2), sides, anchors, torch.tensor([8.0, 16.0]))


def test_class_distance__is_zero_and_flat_where_both_say_the_same() -> None:
    teacher = random(2, 3, 5)
    student = teacher.clone().requires_grad_()
    distance = class_distance(student, teacher, torch.ones(3))
    assert distance.shape == (2, 5)
    assert torch.allclose(distance, torch.zeros(2, 5), atol=1e-6)
    distance.sum().backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6


def test_class_distance__is_that_of_two_coins() -> None:
    p, q = 0.8, 0.3
    found = class_distance(torch.logit(torch.tensor([[[q]]])), torch.logit(torch.tensor([[[p]]])), torch.ones(1))
    assert found.item() == pytest.approx(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)), rel=1e-5)


def test_class_distance__has_the_gradient_of_soft_targets() -> None:
    student, teacher = random(1, 2, 3).requires_grad_(), random(1, 2, 3, seed=1)
    class_distance(student, teacher, torch.tensor([1.0, 0.5])).sum().backward()
    assert student.grad is not None
    wanted = (student.sigmoid() - teacher.sigmoid()) * torch.tensor([1.0, 0.5])[:, None]
    assert torch.allclose(student.grad, wanted, atol=1e-6)


def test_class_distance__does_not_grow_with_classes_that_nobody_sees() -> None:
    student, teacher, absent = random(2, 3, 5), random(2, 3, 5, seed=1), torch.full((2, 77, 5), -12.0)
    few = class_distance(student, teacher, torch.ones(3))
    many = class_distance(torch.cat([student, absent], 1), torch.cat([teacher, absent], 1), torch.ones(80))
    assert torch.allclose(few, many, atol=1e-5)


def test_side_distance__keeps_its_gradients_scale_at_any_temperature() -> None:
    teacher = random(1, 4, 16, 3)
    steepness = []
    for temperature in (2.0, 20.0):
        student = (teacher + 0.1 * random(1, 4, 16, 3, seed=1)).requires_grad_()
        side_distance(student, teacher, temperature).sum().backward()
        assert student.grad is not None
        steepness.append(float(student.grad.norm()))
    assert 0.5 < steepness[0] / steepness[1] < 2


def test_side_distance__is_kullback_leibler() -> None:
    student, teacher = random(1, 4, 16, 1), random(1, 4, 16, 1, seed=1)
    wanted, given = functional.softmax(teacher / 2, dim=2), functional.softmax(student / 2, dim=2)
    by_hand = 4 * (wanted * (wanted / given).log()).sum(dim=2).mean(dim=1)
    assert torch.allclose(side_distance(student, teacher, 2.0), by_hand, atol=1e-5)


def test_weighted_mean__does_not_depend_on_the_batch() -> None:
    values, weights = random(3, 9).abs(), random(3, 9, seed=1).abs()
    once, twice = weighted_mean(values, weights), weighted_mean(values.repeat(2, 1), weights.repeat(2, 1))
    assert torch.isclose(once, twice)


def test_weighted_mean__does_not_depend_on_how_many_anchors_there_are() -> None:
    values, weights = random(3, 9).abs(), 0.2 + random(3, 9, seed=1).abs()
    assert torch.isclose(weighted_mean(values, weights), weighted_mean(values.repeat(1, 4), weights.repeat(1, 4)))


def test_weighted_mean__background_does_not_drown_an_object() -> None:
    values, weights = torch.full((1, 8400), 1e-3), torch.full((1, 8400), 1e-5)
    values[0, :8], weights[0, :8] = 1.0, 0.8
    assert 0.95 < weighted_mean(values, weights) < 1


def test_weighted_mean__an_image_of_nothing_counts_for_little() -> None:
    assert weighted_mean(torch.ones(1, 100), torch.full((1, 100), 1e-4)).item() == pytest.approx(0.01)


def test_box_distance__without_distributions_is_that_of_the_boxes() -> None:
    student, teacher = dense(torch.full((1, 4, 1, 2), 2.0).requires_grad_()), dense(torch.full((1, 4, 1, 2), 2.5))
    boxes = corners(student, 64, 64), corners(teacher, 64, 64)
    distance = box_distance(student, teacher, boxes, 2.0)
    assert torch.allclose(distance, torch.full((1, 2), 1 - 4**2 / 5**2), atol=1e-5)  # the same centre
    distance.sum().backward()
    assert student.sides.grad is not None
    assert bool((student.sides.grad < 0).all())  # growing brings them nearer
    same = box_distance(teacher, teacher, (boxes[1], boxes[1]), 2.0)
    assert torch.allclose(same, torch.zeros(1, 2), atol=1e-5)
