"""How much is remembered, and how it is mixed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from treering_api import Replay
from treering_trainer.dataset import Sample
from treering_trainer.engine.order import Mix
from treering_trainer.memory import Memory, MemoryItem
from treering_trainer.policies.interface import Glance, Keepsakes, Situation, TrainingData
from treering_trainer.policies.replay import ReplayPolicy, difficulty, fit_bytes, memory_size, mix_memory

NAMES = ("a", "b", "c")


def sample(digest: str, *boxes: tuple[float, ...]) -> Sample:
    return Sample(digest, Path(f"/{digest}.jpg"), np.asarray(boxes, dtype=np.float64).reshape(-1, 5), 64, 64, digest, 0)


def box(kind: int, x: float = 0.5) -> tuple[float, ...]:
    return (kind, x, 0.5, 0.2, 0.2)


@pytest.mark.parametrize(
    ("settings", "history", "expected"),
    [
        (Replay(), 148, 148),
        (Replay(), 1480, 200),
        (Replay(), 14800, 1480),
        (Replay(min_images=0), 148, 15),
        (Replay(ratio=0.5, min_images=3), 10, 5),
        (Replay(ratio=0.1, min_images=0), 3, 1),
        (Replay(ratio=0.1, max_images=7), 1000, 7),
        (Replay(ratio=0.1, min_images=0, max_images=7), 20, 2),
        (Replay(ratio=0.0, max_images=7), 1000, 7),
        (Replay(ratio=1.0), 12, 12),
        (Replay(ratio=0.0, max_bytes=10_000), 12, 12),
    ],
    ids=[
        "all-of-little",
        "floor",
        "tenth-of-much",
        "a-tenth",
        "half",
        "at-least-one",
        "cap",
        "below-the-cap",
        "cap-alone",
        "everything",
        "bytes-alone",
    ],
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


@pytest.mark.parametrize(
    ("settings", "brings", "memory", "shown"),
    [
        (Replay(), "c", 6, 4),
        (Replay(), "", 6, 3),
        (Replay(epoch_share=0.5), "c", 6, 3),
        (Replay(epoch_share=4), "c", 6, 8),
        (Replay(batch_share=0.5), "c", 6, 8),
    ],
    ids=["as-many-as-new", "no-new-class", "half", "more-than-there-are", "batch-share"],
)
def test_compose__an_epoch_shows_part_of_the_memory(settings: Replay, brings: str, memory: int, shown: int) -> None:
    """Two new images; what an epoch does not show waits for the next."""
    items = [MemoryItem.of(sample(f"{place}", box(0)), NAMES, increment="w", classes=("a",)) for place in range(memory)]
    samples = tuple(sample(item.sha256, box(0)) for item in items)
    names = ("a", "b", *brings)
    situation = Situation("incremental", 0, names, ("a", "b"), None, Memory(items=tuple(items)), samples)
    data = TrainingData(names, (sample("x"), sample("y")), (frozenset(names),) * 2)
    mixed = ReplayPolicy(settings, situation).compose(data)
    assert (len(mixed.memory), mixed.shown) == (memory, shown)
    order = Mix(2, memory, batch=4, share=mixed.batch_share, repeats=mixed.repeats)
    epochs = [{index for batch in order.batches(0, epoch) for index in batch} for epoch in range(40)]
    assert set.union(*epochs) == set(range(2 + memory)), "in the end all were shown"
    assert mixed.batch_share or all(len(epoch) == shown for epoch in epochs)


def test_compose__classes_that_the_labels_do_not_speak_of_are_unknown() -> None:
    item = MemoryItem.of(sample("old", box(0)), NAMES, increment="w47", classes=("a",))
    guessed = item.model_copy(update={"guessed_classes": ("b",), "guesses": (("b", 0.1, 0.1, 0.1, 0.1, 0.8),)})
    index = {name: place for place, name in enumerate(NAMES)}
    samples = tuple(one.to_sample(Path("/bank"), index) for one in (item, guessed))
    situation = Situation("incremental", 0, NAMES, ("a", "b"), None, Memory(items=(item, guessed)), samples)
    data = TrainingData(NAMES, (), ())
    for unknown, expected in (("ignore", [[1, 2], [2]]), ("background", [[], []])):
        policy = ReplayPolicy(Replay.model_validate({"unknown": unknown}), situation)
        memory = policy.compose(data).memory
        assert [one.ignored[:, 0].tolist() for one in memory] == expected
        assert all((one.ignored[:, 1:] == (0.5, 0.5, 1.0, 1.0)).all() for one in memory), "the whole image"


def test_mix_memory__where_a_model_was_unsure_stays_unsure_in_an_image_that_comes_again() -> None:
    data = TrainingData(NAMES, (sample("same", box(1)),), (frozenset("b"),))
    old = replace(sample("same", box(0)), ignored=np.array([box(0, 0.3), box(1, 0.4)]))
    (same,) = mix_memory(data, (old,), (frozenset("ab"),)).new
    assert same.ignored.tolist() == [list(box(0, 0.3))], "of b the delivery speaks"


def test_compose__what_people_marked_since_is_no_longer_what_a_model_took_it_for() -> None:
    """A nine that the model of the tens called a ten: now that nines come, the image that comes again says nine."""
    item = MemoryItem.of(sample("again", box(0, 0.1)), NAMES, increment="w47", classes=("a",)).model_copy(
        update={
            "guessed_classes": ("b",),
            "guesses": (("b", *box(1, 0.5)[1:], 0.9), ("b", *box(1, 0.8)[1:], 0.9)),
            "unsure": (("b", *box(1, 0.52)[1:], 0.2), ("b", *box(1, 0.3)[1:], 0.2)),
        }
    )
    remembered = item.to_sample(Path("/bank"), {name: place for place, name in enumerate(NAMES)})
    situation = Situation("incremental", 0, NAMES, ("a", "b"), None, Memory(items=(item,)), (remembered,))
    data = TrainingData(NAMES, (sample("again", box(2, 0.5)),), (frozenset("c"),))
    (again,) = ReplayPolicy(Replay(), situation).compose(data).new
    assert again.boxes.tolist() == [list(box(2, 0.5)), list(box(0, 0.1)), list(box(1, 0.8))]
    assert [row for row in again.ignored.tolist() if row[3] < 1] == [list(box(1, 0.3))]


class Student:
    """Knows embeddings, all images different, and finds what it is told to."""

    names = NAMES

    def __init__(self, found: dict[str, list[tuple[float, ...]]] | None = None) -> None:
        self.found = found
        self.asked = 0

    def detect(self, samples: Sequence[Sample], **_: object) -> list[np.ndarray]:
        assert self.found is not None, "choosing needs no detections"
        self.asked += 1
        return [np.asarray(self.found.get(item.name, []), dtype=float).reshape(-1, 6) for item in samples]

    def embed(self, samples: Sequence[Sample]) -> np.ndarray:
        self.asked += 1
        return np.eye(len(samples))

    def glance(self, *_: object, **__: object) -> Glance:
        raise AssertionError("choosing needs no glance")

    @property
    def network(self) -> torch.nn.Module:
        raise AssertionError("choosing needs no network")


def keepsakes(*increments: str, train_images: dict[str, int] | None = None, size_bytes: int = 100) -> Keepsakes:
    """One image of each increment named, classes in turn."""
    samples = tuple(sample(f"{index:02d}", box(index % 3)) for index in range(len(increments)))
    items = tuple(
        MemoryItem.of(one, NAMES, increment=increment, classes=NAMES)
        for one, increment in zip(samples, increments, strict=True)
    )
    counts = train_images or dict.fromkeys(increments, 60)
    return Keepsakes(items, samples, counts, tuple(size_bytes + index for index in range(len(samples))))


def remembered(settings: dict[str, object], kept: Keepsakes, student: Student | None = None) -> tuple[MemoryItem, ...]:
    policy = ReplayPolicy(Replay.model_validate(settings), Situation("full", 1, NAMES))
    return policy.remember(kept, student or Student())


@pytest.mark.parametrize(
    ("selection", "asked"), [("classBalanced", 0), ("ocdm", 0), ("random", 0), ("herding", 1), ("kmeans", 1)]
)
def test_remember__from_the_present_memory_and_the_new_images(selection: str, asked: int) -> None:
    kept, student = keepsakes(*["w47"] * 12), Student()
    chosen = remembered({"ratio": 0.1, "minImages": 0, "selection": selection}, kept, student)
    assert len(chosen) == 6 and set(chosen) <= set(kept.items)
    assert student.asked == asked
    if selection in ("classBalanced", "ocdm"):
        assert sorted(item.boxes[0][0] for item in chosen) == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize(("balance", "old"), [("increments", 4), ("none", 2)])
def test_remember__each_increment_keeps_its_share(balance: str, old: int) -> None:
    """Four remembered images of 40, and 40 new ones: where all are chosen from together, the new ones win."""
    kept = keepsakes(*["w1"] * 4, *["w2"] * 40, train_images={"w1": 40, "w2": 40})
    chosen = remembered({"ratio": 0.1, "minImages": 0, "selection": "random", "balance": balance}, kept)
    count = sum(item.increment == "w1" for item in chosen)
    assert len(chosen) == 8
    assert count == 4 if balance == "increments" else count <= old


def test_remember__a_budget_in_bytes() -> None:
    kept = keepsakes(*["w1"] * 10, *["w2"] * 10, size_bytes=1000)
    sizes = dict(zip(kept.items, kept.sizes_bytes, strict=True))
    for selection in ("classBalanced", "random", "kmeans"):
        chosen = remembered({"ratio": 0, "maxBytes": 6100, "selection": selection}, kept)
        assert len(chosen) == 6 and sum(sizes[item] for item in chosen) <= 6100
        assert [item.increment for item in chosen] == ["w1"] * 3 + ["w2"] * 3
    assert len(remembered({"ratio": 0, "maxBytes": 10**6}, kept)) == 20
    assert len(remembered({"ratio": 0, "maxImages": 2, "maxBytes": 10**6}, kept)) == 2


def test_fit_bytes__nothing_where_not_even_one_image_fits() -> None:
    assert fit_bytes(lambda size: list(range(size)), 5, [500] * 5, 400) == []


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([box(0)], [(*box(0), 1.0)], 0.0),
        ([box(0)], [(*box(0), 0.5)], 1 / 3),
        ([box(0)], [(*box(1), 0.5)], 1.0),
        ([box(0)], [], 1.0),
        ([], [(*box(0), 0.5)], 1.0),
        ([], [], 0.0),
        ([box(0), box(0, 0.1)], [(*box(0), 1.0), (*box(0, 0.9), 1.0)], 0.5),
    ],
    ids=["sure", "unsure", "another-class", "missed", "invented", "background", "half"],
)
def test_difficulty__cases(truth: list[tuple[float, ...]], found: list[tuple[float, ...]], expected: float) -> None:
    boxes, rows = np.asarray(truth, dtype=float).reshape(-1, 5), np.asarray(found, dtype=float).reshape(-1, 6)
    assert difficulty(boxes, rows) == pytest.approx(expected)


def test_remember__hard_examples_by_people_s_labels_alone() -> None:
    kept = keepsakes(*["w1"] * 3)
    only_a = kept.items[0].model_copy(update={"classes": ("a",), "guesses": (("b", 0.9, 0.9, 0.1, 0.1, 0.9),)})
    kept = replace(kept, items=(only_a, *kept.items[1:]))
    found = {
        "00": [(*box(0), 0.9), (*box(2, 0.2), 0.9)],  # c was not spoken of, and the guess of b is nobody's word
        "01": [(*box(1), 0.8)],
        "02": [(*box(2), 0.4)],
    }
    order = [remembered({"ratio": 0, "maxImages": size, "selection": "hard"}, kept, Student(found)) for size in (1, 2)]
    assert [[item.sha256 for item in chosen] for chosen in order] == [["02"], ["01", "02"]]
