"""Fusing boxes, beside the library of weighted boxes fusion's author, which a graph can't hold."""

from __future__ import annotations

import ensemble_boxes
import numpy as np
import pytest
import torch
from ensemble_boxes.ensemble_boxes_nms import cpu_soft_nms_float
from torch import Tensor

from treering_trainer.yolo.fusion.boxes import fade, gather, overlaps, strongest, yield_to_rivals

SIDE = 100.0
OBJECT = torch.tensor([[10.0, 10, 30, 30]])


def draw_boxes(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Many of them lie on one another."""
    source = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=source) * 40
    boxes = torch.cat([corners, corners + 15 + torch.rand(count, 2, generator=source) * 40], dim=1)
    return boxes, torch.rand(count, generator=source), torch.randint(0, 3, (count,), generator=source)


@pytest.mark.parametrize("seed", range(5))
def test_gather__as_the_library_where_members_suppress(seed: int) -> None:
    """Within a member no two boxes of a class lie on one another, so that a member speaks once of an object anyway."""
    members = [draw_boxes(30, 10 * seed + place) for place in range(2)]
    seen = []
    for boxes, scores, classes in members:
        kept = strongest(boxes, scores, classes, 0.01)
        seen.append((boxes[kept], scores[kept], classes[kept]))
    expected = ensemble_boxes.weighted_boxes_fusion(
        [(part[0] / SIDE).numpy() for part in seen],
        [part[1].numpy() for part in seen],
        [part[2].numpy() for part in seen],
    )
    boxes, scores, classes = (torch.cat(parts) for parts in zip(*seen, strict=True))
    speakers = torch.cat([torch.full((len(part[0]),), place) for place, part in enumerate(seen)])
    order = scores.argsort(descending=True)
    means, mean_scores, weights, firsts = gather(
        boxes[order], scores[order], classes[order], speakers[order], torch.ones(2), 0.55
    )
    fused = mean_scores * weights / 2
    ranks = fused.argsort(descending=True)[: int((weights > 0).sum())]
    np.testing.assert_allclose(fused[ranks].numpy(), expected[1], atol=1e-6)
    np.testing.assert_allclose(means[ranks].numpy(), expected[0] * SIDE, atol=1e-3)
    assert classes[order][firsts][ranks].tolist() == expected[2].astype(int).tolist()


def test_gather__a_member_speaks_once_and_weighs_what_it_weighs() -> None:
    boxes = torch.cat([OBJECT, OBJECT + 2, OBJECT + 1])
    means, scores, weights, firsts = gather(
        boxes,
        torch.tensor([0.9, 0.6, 0.3]),
        torch.zeros(3).long(),
        torch.tensor([0, 1, 0]),
        torch.tensor([1.0, 3.0]),
        0.5,
    )
    assert weights.tolist() == [4.0, 1.0, 0.0] and firsts[:2].tolist() == [0, 2]
    assert scores[0].item() == pytest.approx((0.9 + 3 * 0.6) / 4)
    assert torch.allclose(means[0], OBJECT[0] + 2 * 1.8 / 2.7)  # by confidence times weight


@pytest.mark.parametrize("seed", range(3))
def test_fade__as_the_library(seed: int) -> None:
    boxes, scores, classes = draw_boxes(25, seed)
    faded = fade(boxes, scores, classes, 0.5)
    for kind in range(3):
        mine = classes == kind
        expected = scores[mine].numpy().copy()  # faded in place; the library's own call gives the scores as they were
        cpu_soft_nms_float((boxes[mine] / SIDE).numpy(), expected, 0.5, 0.5, 0.0, 2)
        np.testing.assert_allclose(np.sort(faded[mine].numpy()), np.sort(expected), atol=1e-6)
    assert bool((faded <= scores).all()) and not torch.equal(faded, scores)


def test_strongest__by_class() -> None:
    boxes = torch.cat([OBJECT, OBJECT + 1, OBJECT + 1])
    kept = strongest(boxes, torch.tensor([0.5, 0.9, 0.7]), torch.tensor([0, 0, 1]), 0.5)
    assert kept.tolist() == [1, 2]


def test_overlaps__empty_and_apart() -> None:
    assert overlaps(OBJECT, OBJECT).item() == 1.0
    assert overlaps(OBJECT, OBJECT + 50).item() == 0.0
    assert overlaps(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0.0


@pytest.mark.parametrize(
    ("knows", "expected"),
    [
        ([[True, False], [False, True]], [0.8, 0.5 * (1 - 0.8)]),  # neither has learned the other's class
        ([[True, True], [False, True]], [0.8, 0.5 * (1 - 0.8)]),
        ([[True, False], [True, True]], [0.8, 0.5]),  # the weaker box's member has compared both classes
    ],
)
def test_yield_to_rivals(knows: list[list[bool]], expected: list[float]) -> None:
    boxes = torch.cat([OBJECT, OBJECT + 1])
    found = yield_to_rivals(
        boxes, torch.tensor([0.8, 0.5]), torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor(knows), 0.5
    )
    assert found.tolist() == pytest.approx(expected)
    apart = torch.cat([OBJECT, OBJECT + 40])
    assert yield_to_rivals(
        apart, torch.tensor([0.8, 0.5]), torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor(knows), 0.5
    ).tolist() == pytest.approx([0.8, 0.5])
