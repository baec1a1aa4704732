"""Which boxes models add, where, and which they must not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from treering_api import PseudoLabels
from treering_trainer.dataset import Sample
from treering_trainer.memory import MemoryItem
from treering_trainer.policies.interface import Glance, Situation, TrainingData
from treering_trainer.policies.pseudo_labels import PseudoLabelsPolicy, add_boxes, intersection_over_union

NAMES = ("a", "b", "c", "d")


class Scripted:
    """Finds the same boxes in every image, and remembers how it was asked."""

    def __init__(self, names: tuple[str, ...], *rows: tuple[float, ...]) -> None:
        self.names = names
        self.rows = np.asarray(rows, dtype=np.float64).reshape(-1, 6)
        self.asked: list[tuple[list[str], dict[str, Any]]] = []

    def detect(self, samples: Sequence[Sample], **settings: Any) -> list[np.ndarray]:
        self.asked.append(([sample.name for sample in samples], settings))
        return [self.rows.copy() for _ in samples]

    def embed(self, samples: Sequence[Sample]) -> np.ndarray:
        raise AssertionError("labelling needs no embeddings")

    def glance(self, *_: object, **__: object) -> Glance:
        raise AssertionError("labelling needs no glance")

    @property
    def network(self) -> torch.nn.Module:
        raise AssertionError("labelling needs no network")


def sample(name: str, *boxes: tuple[float, ...]) -> Sample:
    return Sample(name, Path(f"/{name}.jpg"), np.asarray(boxes, dtype=np.float64).reshape(-1, 5), 64, 64, name, 0)


def situation(teacher: Scripted | None, old: tuple[str, ...] = ("a", "b")) -> Situation:
    return Situation("incremental", 0, NAMES, old, teacher)


LEFT, RIGHT, MIDDLE = (0.2, 0.5, 0.2, 0.2), (0.8, 0.5, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2)


def test_intersection_over_union__cases() -> None:
    boxes = np.array([LEFT, (0.3, 0.5, 0.2, 0.2), RIGHT, (0.2, 0.5, 0.0, 0.0)])
    overlap = intersection_over_union(boxes[:1], boxes)
    np.testing.assert_allclose(overlap, [[1.0, 1 / 3, 0.0, 0.0]], atol=1e-12)


@pytest.mark.parametrize(("overlap", "expected"), [(0.3, 1), (0.4, 2), (1.0, 2)])
def test_add_boxes__none_over_a_true_one_whatever_its_class(overlap: float, expected: int) -> None:
    truth = np.array([(3, *LEFT)])
    found = np.array([(0, 0.3, 0.5, 0.2, 0.2, 0.9), (0, *RIGHT, 0.9), (0, *LEFT, 0.9)])
    added = add_boxes(truth, found, overlap)
    assert added.shape == (expected, 5)
    assert (added[:, 1] != LEFT[0]).all(), "the very same box is never added"


def test_add_boxes__empty_on_either_side() -> None:
    nothing, found = np.zeros((0, 5)), np.array([(0, *LEFT, 0.9)])
    assert add_boxes(nothing, found, 0.5).tolist() == [[0, *LEFT]]
    assert add_boxes(np.array([(0, *LEFT)]), np.zeros((0, 6)), 0.5).shape == (0, 5)


def test_compose__old_classes_that_the_labels_do_not_speak_of() -> None:
    teacher = Scripted(("a", "b"), (0, *LEFT, 0.9), (1, *RIGHT, 0.8), (0, *MIDDLE, 0.7))
    data = TrainingData(
        NAMES,
        (sample("nothing-known", (2, *MIDDLE)), sample("b-known", (1, *MIDDLE)), sample("all-known", (0, *MIDDLE))),
        (frozenset("cd"), frozenset("bc"), frozenset("abc")),
    )
    policy = PseudoLabelsPolicy(PseudoLabels(confidence=0.35, overlap=0.6, mirror=True), situation(teacher))
    done = policy.compose(data)
    assert teacher.asked == [(["nothing-known", "b-known"], {"confidence": 0.35, "overlap": 0.6, "mirror": True})]
    first, second, third = (item.boxes.tolist() for item in done.new)
    assert first == [[2, *MIDDLE], [0, *LEFT], [1, *RIGHT]], "the true box in the middle stands alone"
    assert second == [[1, *MIDDLE], [0, *LEFT]], "people spoke of b"
    assert third == [[0, *MIDDLE]]
    assert done.pseudo_labels == {"a": 2, "b": 1}
    assert done.new_classes_known == data.new_classes_known


@pytest.mark.parametrize("reason", ["first-round", "memory-only"])
def test_compose__nothing_to_do(reason: str) -> None:
    teacher = Scripted(("a", "b"), (0, *LEFT, 0.9))
    data = TrainingData(NAMES, (sample("x"),), (frozenset("c"),))
    policy = PseudoLabelsPolicy(
        PseudoLabels(directions="memory" if reason == "memory-only" else "both"),
        situation(None if reason == "first-round" else teacher),
    )
    assert policy.compose(data) is data
    assert teacher.asked == []


def item(name: str, classes: str, *boxes: tuple[float, ...]) -> tuple[MemoryItem, Sample]:
    image = sample(name, *boxes)
    return MemoryItem.of(image, NAMES, increment="w47", classes=tuple(classes)), image


def test_relabel__the_memory_for_what_it_does_not_speak_of() -> None:
    student = Scripted(NAMES, (2, *LEFT, 0.9), (0, *RIGHT, 0.9), (3, *MIDDLE, 0.6))
    remembered = [item("old", "ab", (0, *MIDDLE)), item("new", "abcd", (3, *LEFT))]
    items, samples = tuple(pair[0] for pair in remembered), [pair[1] for pair in remembered]
    policy = PseudoLabelsPolicy(PseudoLabels(memory_confidence=0.55, overlap=0.5, mirror=False), situation(None))
    old, new = policy.relabel(items, samples, student)
    assert student.asked == [(["old"], {"confidence": 0.55, "overlap": 0.5, "mirror": False})]
    assert old.boxes == (("a", *MIDDLE), ("c", *LEFT)), "people spoke of a; where they drew a box, nothing else is"
    assert set(old.classes) == set(NAMES)
    assert new == items[1]


def test_relabel__not_in_the_other_direction() -> None:
    student = Scripted(NAMES, (2, *LEFT, 0.9))
    kept, image = item("old", "ab", (0, *MIDDLE))
    policy = PseudoLabelsPolicy(PseudoLabels(directions="new"), situation(None))
    assert policy.relabel((kept,), [image], student) == (kept,)
    assert student.asked == []
