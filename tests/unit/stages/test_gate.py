from __future__ import annotations

import pytest

from treering_api import Gate
from treering_trainer.records import ClassScore, DonorScore, EvaluateRecord, SetScore
from treering_trainer.stages.donor_names import short_names
from treering_trainer.stages.evaluate import class_means, compare
from treering_trainer.stages.gate import judge


def score(map50: float) -> ClassScore:
    return ClassScore(map50=map50, map50_95=map50 / 2, precision=map50, recall=map50, instances=5)


def scores_of(classes: dict[str, float], name: str = "golden") -> SetScore:
    return SetScore(name=name, kind="holdout", images=9, classes={key: score(value) for key, value in classes.items()})


def evaluated(before: dict[str, float], after: dict[str, float]) -> EvaluateRecord:
    """A comparison on one set; classes without a score before are new."""
    sets = (scores_of(before),) if before else ()
    old, new = tuple(before), tuple(name for name in after if name not in before)
    was, is_now = compare(sets, (scores_of(after),), old)
    gains = [after[name] for name in new]
    return EvaluateRecord(
        before=sets,
        after=(scores_of(after),),
        old_classes=old,
        new_classes=new,
        map50_before=was,
        map50=sum(after.values()) / len(after),
        map50_95=0.0,
        forgetting=None if was is None or is_now is None else was - is_now,
        gain=sum(gains) / len(gains) if gains else None,
        speed_ms=1.0,
        duration_s=1.0,
    )


OLD = {"ace": 0.8, "king": 0.6}


@pytest.mark.parametrize(
    ("after", "rules", "passed", "sentence"),
    [
        pytest.param({"ace": 0.77, "king": 0.57}, {}, True, "the old classes lost 3.0 points of mAP50", id="at-limit"),
        pytest.param({"ace": 0.76, "king": 0.57}, {}, False, "Rejected: the old classes lost 3.5 points", id="beyond"),
        pytest.param({"ace": 0.8, "king": 0.6}, {}, True, "the old classes kept their mAP50, at most 3.0", id="equal"),
        pytest.param({"ace": 0.8004, "king": 0.6}, {}, True, "the old classes kept their mAP50", id="barely-more"),
        pytest.param({"ace": 0.9, "king": 0.6}, {}, True, "the old classes gained 5.0 points of mAP50", id="gained"),
        pytest.param(
            {"ace": 0.9, "king": 0.5}, {"max_class_forgetting": 0.05}, False, "king lost 10.0 points", id="one-class"
        ),
        pytest.param(
            {**OLD, "jack": 0.4},
            {"min_gain": 0.5},
            False,
            "the new classes reach 40.0 points, at least 50.0",
            id="gain",
        ),
        pytest.param({**OLD, "jack": 0.5}, {"min_gain": 0.5}, True, "Accepted", id="gain-reached"),
        pytest.param(
            {"ace": 0.8, "king": 0.6}, {"min_gain": 0.5}, True, "the old classes kept", id="no-gain-without-new-classes"
        ),
        pytest.param(OLD, {"class_floor": {"king": 0.7}}, False, "king: mAP50 0.600, its floor is 0.700", id="floor"),
        pytest.param(OLD, {"class_floor": {"queen": 0.7}}, True, "Accepted", id="floor-of-a-class-to-come"),
    ],
)
def test_judge__of_a_later_round(
    after: dict[str, float], rules: dict[str, object], passed: bool, sentence: str
) -> None:
    verdict, checks, words = judge(evaluated(OLD, after), Gate.model_validate(rules))
    assert verdict is passed
    assert verdict is all(check.passed for check in checks)
    assert sentence in words + "; ".join(check.sentence for check in checks)
    assert "-0.0" not in words


def test_judge__of_a_first_round_asks_nothing_by_default() -> None:
    verdict, checks, words = judge(evaluated({}, {"ace": 0.1}), Gate())
    assert (verdict, checks) == (True, ())
    assert "first model" in words


def test_judge__min_gain_says_nothing_of_known_classes() -> None:
    assert "minGain" not in [check.rule for check in judge(evaluated(OLD, OLD), Gate(min_gain=0.5))[1]]
    _, checks, _ = judge(evaluated(OLD, {**OLD, "jack": 0.6}), Gate(min_gain=0.5))
    assert [check.measured for check in checks if check.rule == "minGain"] == [0.6]


def test_judge__of_a_first_round_with_a_floor() -> None:
    assert not judge(evaluated({}, {"ace": 0.1}), Gate(class_floor={"ace": 0.5}))[0]
    assert not judge(evaluated({}, {"ace": 0.1}), Gate(min_gain=0.5))[0]


def test_judge__a_known_class_that_is_measured_nowhere_fails_its_floor() -> None:
    record = evaluated(OLD, OLD).model_copy(update={"old_classes": ("ace", "king", "ten")})
    verdict, _, words = judge(record, Gate(class_floor={"ten": 0.5}))
    assert not verdict
    assert "ten: it occurs in no evaluation set" in words


def test_class_means__over_the_sets_that_show_the_class() -> None:
    assert class_means([scores_of({"ace": 0.8}, "a"), scores_of({"ace": 0.4, "king": 0.6}, "b")]) == {
        "ace": pytest.approx(0.6),
        "king": 0.6,
    }


def test_compare__sets_of_one_name_and_two_kinds_stay_apart() -> None:
    """A hold-out may be called like an increment."""
    val = scores_of({"ace": 0.5}, "w1").model_copy(update={"kind": "val"})
    before = (scores_of({"king": 0.9}, "w1"), val)
    after = (scores_of({"king": 0.9, "ace": 0.0}, "w1"), val)
    was, is_now = compare(before, after, ("ace", "king"))
    assert was == pytest.approx(0.7)
    assert is_now == pytest.approx(0.7)


def test_judge__each_donor_of_a_merge_is_named() -> None:
    donors = tuple(
        DonorScore(uri=f"s3://b/{line}/round-1/model.pt", classes=("ace",), map50_before=was, map50=0.8)
        for line, was in (("cards", 0.81), ("people", 0.9))
    )
    scores = evaluated(OLD, OLD).model_copy(update={"donors": donors})
    passed, checks, sentence = judge(scores, Gate())
    assert not passed and [check.passed for check in checks] == [True, False]
    assert sentence.startswith("Rejected: the classes of people/round-1/model.pt lost 10.0 points of mAP50")


@pytest.mark.parametrize(
    ("uris", "expected"),
    [
        pytest.param(["file:///x/a.pt", "yolov8n.pt"], ["a.pt", "yolov8n.pt"], id="file-names-differ"),
        pytest.param(["s3://b/a/m.pt", "s3://b/c/m.pt"], ["a/m.pt", "c/m.pt"], id="folders-differ"),
        pytest.param(["s3://b/m.pt", "s3://c/m.pt"], ["b/m.pt", "c/m.pt"], id="buckets-differ"),
        pytest.param(["s3://b/m.pt", "file:///b/m.pt"], ["b/m.pt", "/b/m.pt"], id="schemes-differ"),
        pytest.param(["s3://b/m.pt"], ["m.pt"], id="one"),
        pytest.param([], [], id="none"),
    ],
)
def test_short_names__tell_apart(uris: list[str], expected: list[str]) -> None:
    assert list(short_names(uris).values()) == expected
