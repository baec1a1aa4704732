from __future__ import annotations

import pytest

from treering_api import Policies
from treering_api.strategy import MEASURES, TABLE, Measures, Row, at_least, at_most, decide

GROWN: Measures = {
    "publishedModels": 1, "donors": 0, "cost": 5.0, "newImages": 200, "newShare": 0.8, "newClasses": 2,
    "classOverlap": 0.0, "driftAuc": 0.7, "driftSum": 0.4, "roundsSinceFull": 1, "memoryImages": 20, "imbalance": 2.0,
}  # fmt: skip


def test_table__every_question_ends_with_a_row_for_all_and_asks_for_known_measures() -> None:
    for question in ("strategy", "learns"):
        assert [row for row in TABLE if row.question == question][-1].conditions == ()
    assert {condition.measure for row in TABLE for condition in row.conditions} <= MEASURES.keys()


def test_table__what_it_chooses_are_blocks_of_policies() -> None:
    for row in TABLE:
        chosen = Policies().with_chosen(row.policies)
        for field, block in row.policies.items():
            written = getattr(chosen, field).model_dump(exclude_unset=True)
            assert written.keys() == block.keys()


@pytest.mark.parametrize(
    ("known", "strategy", "learns", "reason"),
    [
        ({"publishedModels": 0}, "full", None, "the line has no model yet"),
        ({}, "incremental", "whole", "would cost 5.0 times"),
        ({"cost": 1.2}, "full", None, "costs only 1.20 times"),
        ({"cost": 1.2, "donors": 1}, "incremental", "whole", "merged of several models"),
        ({"cost": 1.2, "deadlineShare": 1.5}, "incremental", "whole", "1.5 times spec.deadline"),
        ({"cost": 1.4, "driftAuc": 0.95, "classOverlap": 1.0}, "full", None, "AUC 0.95"),
        ({"cost": 1.4, "driftAuc": 0.95}, "incremental", "whole", "would cost 1.4 times"),
        ({"newImages": 15, "newShare": 0.1}, "incremental", "staged", "would cost"),
        ({"newClasses": 0, "driftAuc": 0.55, "newShare": 0.01}, "incremental", "head", "would cost"),
        ({"newClasses": 0, "driftAuc": 0.75, "newShare": 0.05}, "incremental", "whole", "would cost"),
        ({"gpuMemoryGib": 2.0}, "incremental", "head", "would cost"),
    ],
    ids=[
        "first",
        "new classes",
        "cheap",
        "merged",
        "no time",
        "drifted",
        "new and drifted",
        "few",
        "same",
        "changed",
        "small",
    ],
)
def test_decide__row_by_row(known: Measures, strategy: str, learns: str | None, reason: str) -> None:
    decision = decide({**GROWN, **known})
    assert decision.answer("strategy") == strategy
    assert reason in decision.reason("strategy")
    asked = [choice.answer for choice in decision.choices if choice.question == "learns"]
    assert asked == ([] if learns is None else [learns])


def test_decide__policies_follow_with_their_numbers() -> None:
    decision = decide({**GROWN, "memoryImages": 0, "imbalance": 24})
    told = {choice.answer: choice.reason for choice in decision.choices if choice.question == "policies"}
    assert told.keys() == {"classBalance", "distill"}
    assert "24 times" in told["classBalance"]
    assert decision.policies == {"class_balance": {"sampling": "repeatFactor"}, "distill": {"weight": 1.0}}


def test_decide__what_cannot_be_otherwise_is_no_way_out() -> None:
    for measures in ({**GROWN, "cost": 1.2}, {**GROWN, "cost": 1.2, "donors": 2}):
        told = " ".join(decide(measures).would_change)
        assert "donors" not in told and "publishedModels" not in told


def test_decide__a_full_round_gets_no_policies() -> None:
    assert decide({**GROWN, "cost": 1.0, "memoryImages": 0, "imbalance": 50}).policies == {}


def test_decide__says_what_would_have_changed_it() -> None:
    told = decide(GROWN).would_change
    assert "full with cost at most 1.25 (is 5)" in told
    assert any(text.startswith("staged with newImages at most 20 (is 200)") for text in told)
    assert decide({**GROWN, "cost": 1.1}).would_change == ("incremental without cost at most 1.25 (is 1.1)",)
    assert decide({"publishedModels": 0}).would_change == ()


def test_decide__what_would_have_changed_it_would_indeed() -> None:
    assert decide({**GROWN, "cost": 1.25}).answer("strategy") == "full"
    assert decide({**GROWN, "newImages": 20, "newShare": 0.25}).answer("learns") == "staged"


def test_decide__measures_that_are_not_known_are_open_and_speak_for_nothing() -> None:
    decision = decide({"publishedModels": 1})
    assert decision.answer("strategy") == "incremental"
    assert {"cost", "driftAuc", "newImages"} <= set(decision.open)
    assert "publishedModels" not in decision.open


def test_decide__any_table_will_do() -> None:
    table = (
        Row("strategy", "full", (at_least("driftSum", 2),), "drift is {driftSum:.1f}", {}),
        Row("strategy", "incremental", (at_most("cost", 9),), "it costs {cost:.0f}", {}),
        Row("strategy", "full", (), "nothing else", {}),
        Row("learns", "whole", (), "all", {}),
    )
    assert decide({"driftSum": 2.5}, table).reason("strategy") == "drift is 2.5"
    assert decide({"driftSum": 1.0, "cost": 3}, table).reason("strategy") == "it costs 3"


def test_policies__the_users_blocks_win_over_autos_and_autos_over_the_preset() -> None:
    chosen = {"replay": {"ratio": 0.4}, "distill": {"weight": 2.0}}
    user = Policies.model_validate({"distill": {"weight": 0.5}})
    resolved = user.with_chosen(chosen).resolve()
    assert resolved.distill is not None and resolved.distill.weight == 0.5
    assert resolved.replay is not None and resolved.replay.ratio == 0.4
    assert resolved.pseudo_labels is not None
    assert Policies(preset="none").with_chosen(chosen) == Policies(preset="none")
