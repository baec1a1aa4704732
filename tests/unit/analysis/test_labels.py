from __future__ import annotations

import math

import pytest

from tests.unit.analysis.scenes import Row, scene
from treering_trainer.analysis.labels import confusions, looseness, pair, renamed, swapped
from treering_trainer.analysis.warnings import label_warnings, name_warnings
from treering_trainer.measures import ClassDrift

NAMES = ("king", "queen", "jack")
PLACE = (0.5, 0.5, 0.2, 0.3)


def box(name: str) -> Row:
    return (float(NAMES.index(name)), *PLACE)


def called(name: str, confidence: float = 0.9, scale: float = 1.0) -> Row:
    return (float(NAMES.index(name)), 0.5, 0.5, 0.2 * scale, 0.3 * scale, confidence)


def test_pair__takes_the_surest_detection_of_the_same_object() -> None:
    samples, glance = scene(
        [[box("king")]], [[called("queen", 0.7), called("king", 0.8), (0, 0.1, 0.1, 0.1, 0.1, 0.95)]]
    )
    pairs = pair(samples, NAMES, glance, NAMES)
    assert (pairs.labelled, pairs.called, pairs.confidence.tolist()) == (("king",), ("king",), [0.8])
    assert pairs.unlabelled == {"king": 1}


def test_swapped__two_classes_that_changed_names_are_named_with_their_numbers() -> None:
    boxes = [[box("queen")]] * 10 + [[box("king")]] * 10
    found = [[called("king")]] * 9 + [[called("queen")]] + [[called("queen", 0.8)]] * 10
    samples, glance = scene(boxes, found)
    wrong = confusions(pair(samples, NAMES, glance, NAMES))
    assert [(item.labelled, item.called) for one in swapped(wrong) for item in one] == [
        ("king", "queen"), ("queen", "king"),
    ]  # fmt: skip
    assert list(name_warnings(wrong, NAMES, {"king": 10, "queen": 10})) == [
        "king and queen look swapped: the published model calls 10 of 10 'king' boxes queen at 0.80, and "
        "9 of 10 'queen' boxes king at 0.90"
    ]


def test_name_warnings__right_names_are_left_alone() -> None:
    boxes = [[box("queen")]] * 10 + [[box("king")]] * 10
    found = [[called("queen")]] * 10 + [[called("king")]] * 8 + [[called("queen")]] * 2
    samples, glance = scene(boxes, found)
    wrong = confusions(pair(samples, NAMES, glance, NAMES))
    assert len(wrong) == 1
    assert not list(name_warnings(wrong, NAMES, {"king": 10, "queen": 10}))


def test_renamed__a_new_name_for_a_class_that_the_delivery_lacks() -> None:
    names = (*NAMES, "dame")
    samples, glance = scene([[(3.0, *PLACE)]] * 10, [[called("queen")]] * 9 + [[]])
    wrong = confusions(pair(samples, names, glance, NAMES))
    assert [(item.labelled, item.called, item.boxes, item.of) for item in renamed(wrong, NAMES, {"dame"})] == [
        ("dame", "queen", 9, 10)
    ]
    assert not renamed(wrong, NAMES, {"dame", "queen"})  # a class of its own beside the one that it looks like
    assert "under another name" in next(iter(name_warnings(wrong, NAMES, {"dame": 10})))


@pytest.mark.parametrize(("scale", "way"), [(1.2, "tighter"), (1 / 1.2, "looser")], ids=["tighter", "looser"])
def test_looseness__labels_drawn_otherwise_than_the_model_learned(scale: float, way: str) -> None:
    samples, glance = scene([[box("king")]] * 9, [[called("king", scale=scale)]] * 9)
    value, count = looseness(pair(samples, NAMES, glance, NAMES))["king"]
    assert value == pytest.approx(-2 * math.log(scale))
    assert count == 9
    drawn = ClassDrift(name="king", boxes=9, old_boxes=20, looseness=value, looseness_before=0.0, judged=9)
    (told,) = label_warnings([drawn], {}, {"king"})
    assert told.startswith(f"boxes of king are drawn {way} than before: ")
    as_ever = drawn.model_copy(update={"looseness_before": value})
    assert not list(label_warnings([as_ever], {}, {"king"}))


def test_label_warnings__objects_that_nobody_labelled_count_only_for_labelled_classes() -> None:
    samples, glance = scene([[box("king")]] * 5, [[called("king"), (1, 0.1, 0.1, 0.1, 0.1, 0.9)]] * 5)
    pairs = pair(samples, NAMES, glance, NAMES)
    assert pairs.unlabelled == {"queen": 5}
    queen = ClassDrift(name="queen", boxes=2, old_boxes=9)
    assert list(label_warnings([queen], pairs.unlabelled, {"queen"})) == [
        "5 objects that the published model surely calls queen are not labelled, beside 2 that are"
    ]
    assert not list(label_warnings([queen], pairs.unlabelled, {"king"}))


def test_pair__an_object_labelled_a_little_differently_is_labelled() -> None:
    samples, glance = scene([[box("king")]], [[(0, 0.55, 0.5, 0.2, 0.3, 0.95)]])
    assert pair(samples, NAMES, glance, NAMES).unlabelled == {}


def test_pair__backgrounds_and_blind_models() -> None:
    samples, glance = scene([[], [box("king")]], [[called("king")], []])
    pairs = pair(samples, NAMES, glance, NAMES)
    assert pairs.unlabelled == {"king": 1}
    assert pairs.shown == {"king": 1}
    assert not looseness(pairs)
