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
from treering_trainer.memory import Memory, MemoryItem
from treering_trainer.policies.interface import Glance, Situation, TrainingData
from treering_trainer.policies.pseudo_labels import (
    PseudoLabelsPolicy,
    fuse_guesses,
    least_confidence,
)
from treering_trainer.records import Threshold

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


def test_compose__old_classes_that_the_labels_do_not_speak_of() -> None:
    teacher = Scripted(("a", "b"), (0, *LEFT, 0.9), (1, *RIGHT, 0.8), (0, *MIDDLE, 0.7))
    data = TrainingData(
        NAMES,
        (sample("nothing-known", (2, *MIDDLE)), sample("b-known", (1, *MIDDLE)), sample("all-known", (0, *MIDDLE))),
        (frozenset("cd"), frozenset("bc"), frozenset("abc")),
    )
    policy = PseudoLabelsPolicy(PseudoLabels(confidence=0.35, overlap=0.6, mirror=True), situation(teacher))
    done = policy.compose(data)
    assert teacher.asked == [(["nothing-known", "b-known"], {"confidence": 0.2, "overlap": 0.6, "mirror": True})]
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


def test_compose__between_background_and_object_nothing_is_learned() -> None:
    teacher = Scripted(("a", "b"), (0, *LEFT, 0.5), (1, *RIGHT, 0.35), (1, *MIDDLE, 0.3), (0, *MIDDLE, 0.2))
    data = TrainingData(NAMES, (sample("x", (2, *MIDDLE)), sample("y")), (frozenset("c"), frozenset("ac")))
    policy = PseudoLabelsPolicy(PseudoLabels(confidence=0.4, ignore_band=0.25, overlap=0.6), situation(teacher))
    done = policy.compose(data)
    assert [item.boxes.tolist() for item in done.new] == [[[2, *MIDDLE], [0, *LEFT]], []]
    ignored = [item.ignored.tolist() for item in done.new]
    assert ignored == [[[1, *RIGHT]], [[1, *RIGHT], [1, *MIDDLE]]], "not over people's boxes, not what they know"
    assert (done.pseudo_labels, done.unsure) == ({"a": 1}, {"b": 3})
    off = PseudoLabelsPolicy(PseudoLabels(confidence=0.4, ignore_band=1.0, overlap=0.6), situation(teacher))
    assert [len(item.ignored) for item in off.compose(data).new] == [0, 0]


def judged(*groups: tuple[float, int, int]) -> list[tuple[float, bool]]:
    """Detections at a confidence: so many right ones, so many wrong ones."""
    return [(level, hit) for level, right, wrong in groups for hit in (*[True] * right, *[False] * wrong)]


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        (judged((0.9, 9, 1), (0.5, 9, 1), (0.2, 0, 10)), (0.5, 0.9)),
        (judged((0.9, 10, 0), (0.6, 9, 1), (0.4, 8, 2), (0.3, 0, 9)), (0.4, 0.9)),
        (judged((0.9, 1, 2), (0.7, 26, 0), (0.4, 0, 20)), (0.7, 27 / 29)),
        (judged((0.9, 20, 0), (0.2, 5, 0)), (0.15, 1.0)),
        (judged((0.9, 5, 5), (0.8, 5, 5)), (0.75, 0.5)),
        (judged((0.95, 20, 0), (0.94, 0, 20)), (0.75, 0.5)),
        (judged((0.6, 5, 5)), (0.75, 0.0)),
    ],
    ids=["exactly", "all-together", "a-bad-start", "never-below", "never-reached", "never-above", "nothing-left"],
)
def test_least_confidence__of_a_known_precision(
    detections: list[tuple[float, bool]], expected: tuple[float, float]
) -> None:
    shuffled = [detections[index] for index in np.random.default_rng(0).permutation(len(detections))]
    assert least_confidence(shuffled, 0.9) == pytest.approx(expected)


class Careless:
    """Class a is right from .6 on and wrong below, wherever it is asked; b is never found."""

    names = ("a", "b")

    def detect(self, samples: Sequence[Sample], *, confidence: float, **_: Any) -> list[np.ndarray]:
        rows = np.array([(0, *LEFT, 0.6), (0, *RIGHT, 0.5), (0, *MIDDLE, 0.1)])
        return [rows[rows[:, 5] >= confidence] for _ in samples]


def measured(kept: dict[str, list[MemoryItem]], **settings: Any) -> tuple[dict[str, Threshold], TrainingData]:
    index = {name: place for place, name in enumerate(NAMES)}
    parts: dict[str, Any] = {
        name: value
        for part, items in kept.items()
        for name, value in (
            (part, Memory(items=tuple(items))),
            (f"{part}_samples", tuple(item.to_sample(Path("/bank"), index) for item in items)),
        )
    }
    teacher: Any = Careless()
    told = Situation("incremental", 0, NAMES, ("a", "b"), teacher, **parts)
    data = TrainingData(NAMES, (sample("x"),), (frozenset("c"),))
    done = PseudoLabelsPolicy(PseudoLabels(**settings), told).compose(data)
    return dict(done.thresholds), done


def test_thresholds__measured_by_class_and_used() -> None:
    items = [item(f"i{number}", "ab", (0, *LEFT))[0] for number in range(20)]
    found, done = measured({"memory": items})
    assert found["a"] == Threshold(confidence=0.6, precision=1.0, boxes=20)
    assert found["b"] == Threshold(confidence=0.3, precision=None, boxes=0)
    (image,) = done.new
    assert image.boxes.tolist() == [[0, *LEFT]]
    assert image.ignored.tolist() == [[0, *RIGHT]]


def test_thresholds__too_little_to_measure() -> None:
    items = [item(f"i{number}", "ab", (0, *LEFT))[0] for number in range(19)]
    found, done = measured({"memory": items})
    assert found["a"] == Threshold(confidence=0.3, precision=None, boxes=19)
    assert len(done.new[0].boxes) == 2
    assert measured({"memory": items}, min_boxes=19)[0]["a"].confidence == 0.6
    assert measured({"memory": items}, confidence=0.55)[0]["a"].confidence == 0.55


def test_thresholds__what_was_never_trained_on_counts_first() -> None:
    both = ((0, *LEFT), (0, *RIGHT))  # in the memory all that is found is right, in val only half
    memory = [item(f"m{number}", "ab", *both)[0] for number in range(30)]
    val = [item(f"v{number}", "ab", (0, *LEFT))[0] for number in range(20)]
    assert measured({"memory": memory})[0]["a"].confidence == 0.15
    assert measured({"memory": memory, "val": val})[0]["a"] == Threshold(confidence=0.6, precision=1.0, boxes=20)
    assert measured({"memory": memory, "val": val[:5]})[0]["a"].boxes == 65, "few: both together"


def test_thresholds__by_what_people_said_alone() -> None:
    silent = [item(f"s{number}", "b")[0] for number in range(20)]  # nobody spoke of a: what is found may be right
    guess = {"guessed_classes": ("a",), "guesses": (("a", *LEFT, 0.9),)}
    guessed = [one.model_copy(update=guess) for one in silent]
    assert measured({"memory": silent})[0]["a"].boxes == 0
    assert measured({"memory": guessed})[0]["a"].boxes == 0, "a model is no judge of a model"


def test_relabel__the_memory_for_what_people_do_not_speak_of() -> None:
    student = Scripted(NAMES, (2, *LEFT, 0.9), (0, *RIGHT, 0.9), (3, *MIDDLE, 0.6), (3, *RIGHT, 0.3))
    remembered = [item("old", "ab", (0, *MIDDLE)), item("new", "abcd", (3, *LEFT))]
    items, samples = tuple(pair[0] for pair in remembered), [pair[1] for pair in remembered]
    policy = PseudoLabelsPolicy(PseudoLabels(memory_confidence=0.55, overlap=0.5, mirror=False), situation(None))
    old, new = policy.relabel(items, samples, student)
    assert student.asked == [(["old"], {"confidence": 0.2, "overlap": 0.5, "mirror": False})]
    assert (old.boxes, old.classes) == (items[0].boxes, items[0].classes), "what people said stays what it is"
    assert old.guesses == (("c", *LEFT, 0.9),), "where they drew a box, nothing else is"
    assert old.unsure == (("d", *RIGHT, 0.3),)
    assert set(old.guessed_classes) == {"c", "d"}
    assert new == items[1]


def test_relabel__again_after_every_round() -> None:
    """A guess is confirmed, moved and found anew by later models, or fades away; people's boxes never do."""
    (kept, image), policy = item("old", "ab", (0, *MIDDLE)), PseudoLabelsPolicy(PseudoLabels(), situation(None))
    near = (0.21, 0.5, 0.2, 0.2)

    def after(*rows: tuple[float, ...]) -> MemoryItem:
        (again,) = policy.relabel((kept,), [image], Scripted(NAMES, *rows))
        return again

    kept = after((2, *LEFT, 0.8))
    kept = after((2, *near, 0.9), (3, *RIGHT, 0.7))
    mean: Any = pytest.approx(0.85)
    assert kept.guesses == (("c", *near, mean), ("d", *RIGHT, 0.7)), "the surer box, the mean"
    kept = after((2, *near, 0.9))
    assert [guess[0] for guess in kept.guesses] == ["c"]
    assert kept.unsure == (("d", *RIGHT, 0.35),), "once not seen: neither object nor background"
    kept = after((2, *near, 0.9))
    assert kept.unsure == (), "twice not seen: gone"
    assert kept.boxes == (("a", *MIDDLE),)


def test_relabel__people_overrule_an_earlier_guess() -> None:
    kept, image = item("old", "abc", (2, *LEFT))
    kept = kept.model_copy(update={"guessed_classes": ("c", "d"), "guesses": (("c", *RIGHT, 0.9), ("d", *LEFT, 0.9))})
    policy = PseudoLabelsPolicy(PseudoLabels(), situation(None))
    (again,) = policy.relabel((kept,), [image], Scripted(NAMES))
    assert again.guesses == () and again.guessed_classes == ("d",)


def test_fuse_guesses__either_side_empty() -> None:
    nothing, one = np.zeros((0, 6)), np.array([(0, *LEFT, 0.8)])
    assert fuse_guesses(nothing, one, 0.5).tolist() == one.tolist()
    assert fuse_guesses(one, nothing, 0.5)[:, 5].tolist() == [0.4]
    assert one[0, 5] == 0.8, "what came in is left as it was"


def test_relabel__not_in_the_other_direction() -> None:
    student = Scripted(NAMES, (2, *LEFT, 0.9))
    kept, image = item("old", "ab", (0, *MIDDLE))
    policy = PseudoLabelsPolicy(PseudoLabels(directions="new"), situation(None))
    assert policy.relabel((kept,), [image], student) == (kept,)
    assert student.asked == []
