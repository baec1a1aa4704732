"""How much is remembered, and how it is mixed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from treering_api import Replay
from treering_trainer.dataset import Sample
from treering_trainer.memory import Memory, MemoryItem
from treering_trainer.policies.interface import Glance, Keepsakes, Situation, TrainingData
from treering_trainer.policies.replay import ReplayPolicy, memory_size, mix_memory

NAMES = ("a", "b", "c")


def sample(digest: str, *boxes: tuple[float, ...]) -> Sample:
    return Sample(digest, Path(f"/{digest}.jpg"), np.asarray(boxes, dtype=np.float64).reshape(-1, 5), 64, 64, digest, 0)


def box(kind: int, x: float = 0.5) -> tuple[float, ...]:
    return (kind, x, 0.5, 0.2, 0.2)


@pytest.mark.parametrize(
    ("settings", "history", "expected"),
    [
        (Replay(), 148, 15),
        (Replay(ratio=0.5), 10, 5),
        (Replay(ratio=0.1), 3, 1),
        (Replay(ratio=0.1, max_images=7), 1000, 7),
        (Replay(ratio=0.1, max_images=7), 20, 2),
        (Replay(ratio=0.0, max_images=7), 1000, 7),
        (Replay(ratio=1.0), 12, 12),
    ],
    ids=["a-tenth", "half", "at-least-one", "cap", "below-the-cap", "cap-alone", "everything"],
)
def test_memory_size__cases(settings: Replay, history: int, expected: int) -> None:
    assert memory_size(settings, history) == expected


def test_mix_memory__beside_the_new_images() -> None:
    data = TrainingData(NAMES, (sample("new", box(2)),), (frozenset("c"),))
    mixed = mix_memory(data, (sample("old", box(0)),), (frozenset("ab"),))
    assert [item.sha256 for item in mixed.new] == ["new"]
    assert [item.sha256 for item in mixed.memory] == ["old"]
    assert mixed.merged_images == 0


def test_mix_memory__an_image_that_comes_again_is_shown_once_with_both_labels() -> None:
    data = TrainingData(NAMES, (sample("same", box(1), box(2)), sample("new")), (frozenset("bc"), frozenset("bc")))
    mixed = mix_memory(data, (sample("same", box(0, 0.1), box(1, 0.9)),), (frozenset("ab"),))
    assert mixed.memory == () and mixed.merged_images == 1
    same, new = mixed.new
    assert same.boxes.tolist() == [list(box(1)), list(box(2)), list(box(0, 0.1))], "the delivery's word on b counts"
    assert mixed.new_classes_known == (frozenset("abc"), frozenset("bc"))
    assert new.boxes.shape == (0, 5)


def test_compose__only_in_incremental_rounds() -> None:
    data = TrainingData(NAMES, (sample("new"),), (frozenset("c"),))
    item = MemoryItem.of(sample("old", box(0)), NAMES, increment="w47", classes=("a",))
    for strategy, remembered in (("incremental", 1), ("full", 0)):
        situation = Situation(strategy, 0, NAMES, ("a",), None, Memory(items=(item,)), (sample("old", box(0)),))
        mixed = ReplayPolicy(Replay(batch_share=0.3), situation).compose(data)
        assert len(mixed.memory) == remembered
        assert mixed.batch_share == (0.3 if remembered else None)


class Embedder:
    """Knows nothing but embeddings; all images alike."""

    names = NAMES

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, *_: object, **__: object) -> list[np.ndarray]:
        raise AssertionError("choosing needs no detections")

    def embed(self, samples: Sequence[Sample]) -> np.ndarray:
        self.asked += 1
        return np.eye(len(samples))

    def glance(self, *_: object, **__: object) -> Glance:
        raise AssertionError("choosing needs no glance")

    @property
    def network(self) -> torch.nn.Module:
        raise AssertionError("choosing needs no network")


@pytest.mark.parametrize(("selection", "asked"), [("classBalanced", 0), ("random", 0), ("herding", 1), ("kmeans", 1)])
def test_remember__from_the_present_memory_and_the_new_images(selection: str, asked: int) -> None:
    samples = tuple(sample(f"{index:02d}", box(index % 3)) for index in range(12))
    items = tuple(MemoryItem.of(item, NAMES, increment="w47", classes=NAMES) for item in samples)
    student = Embedder()
    policy = ReplayPolicy(Replay.model_validate({"ratio": 0.1, "selection": selection}), Situation("full", 1, NAMES))
    chosen = policy.remember(Keepsakes(items, samples, history_images=60), student)
    assert len(chosen) == 6 and set(chosen) <= set(items)
    assert student.asked == asked
    if selection == "classBalanced":
        assert sorted(item.boxes[0][0] for item in chosen) == ["a", "a", "b", "b", "c", "c"]
