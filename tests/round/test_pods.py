"""A pod and its plan: what fits the store is run, what does not is outdated; the last word says how the line stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.lines import TestLine, draw_delivery
from tests.plugins.pod_plans import call, lineage_of, planned, round_of
from treering_api import (
    ExitCode,
    Increment,
    Lineage,
    LookPlan,
    LookResult,
    Mirror,
    ModelRef,
    RollbackPlan,
    RoundPlan,
    RoundResult,
    Settled,
    StoreStatus,
    roll_back,
)
from treering_trainer.line import plan_next
from treering_trainer.pod import find_line, fit

ABLE = StoreStatus(conditional_create=True, conditional_replace=True)


def test_round__of_the_operators_plan_is_that_of_the_store(grown: TestLine, second_weights: str) -> None:
    plan = planned(grown)
    assert isinstance(plan.base, ModelRef)
    assert (plan.base.classes, plan.known_classes) == ((), ())
    result = round_of(grown, plan)
    assert (result.exit_code, result.verdict, result.round) == (0, "published", 2)
    assert grown.weights(2) == second_weights
    assert result.mirror == Mirror.of(grown.lineage)
    assert result.mirror.settled == 2
    assert result.store == ABLE
    assert (result.images, result.started, result.finished) == tuple(
        getattr(grown.lineage.rounds[-1], name) for name in ("images", "started", "finished")
    )
    assert result.images == 6
    assert round_of(grown, plan) == result  # an earlier pod published it and died before it could say so
    assert grown.lineage.round == 2


def test_round__the_first_of_a_line(line: TestLine) -> None:
    result = round_of(line, planned(line))
    assert (result.exit_code, result.verdict) == (0, "published")
    assert result.mirror == Mirror.of(line.lineage)


def round_ahead(line: TestLine) -> RoundPlan:
    return planned(line, round=3)


def round_behind(line: TestLine) -> RoundPlan:
    return planned(line, round=1)


def other_base(line: TestLine) -> RoundPlan:
    base = line.lineage.current
    assert base is not None
    return planned(line, base=base.model_copy(update={"digest": "0" * 64}))


def no_base(line: TestLine) -> RoundPlan:
    return planned(line, base=line.spec["model"]["base"])


def settled_increment(line: TestLine) -> RoundPlan:
    return planned(line, increments=line.resource.spec.increments[:1])


def not_the_next(line: TestLine) -> RoundPlan:
    line.spec["increments"].append({"name": "w3", "uri": "file:///deliveries/w3"})
    return planned(line, increments=line.resource.spec.increments[2:])


def two_at_once(line: TestLine) -> RoundPlan:
    line.spec["increments"].append({"name": "w3", "uri": "file:///deliveries/w3"})
    return planned(line, increments=line.resource.spec.increments[1:])


def found_but_not_its_turn(line: TestLine) -> RoundPlan:
    return planned(line, increments=(Increment(name="w9", uri="file:///deliveries/w9"),))


def pinned(line: TestLine) -> RoundPlan:
    plan = planned(line)
    return plan.model_copy(update={"spec": plan.spec.model_copy(update={"rollback_to": 1})})


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (round_ahead, "the plan is for round 3, but the line's last round is 1, with the model of round 1 current"),
        (round_behind, "the plan is for round 1"),
        (other_base, "the plan is for round 2, but the line's last round is 1"),
        (no_base, "the plan is for round 2, but the line's last round is 1"),
        (settled_increment, "the plan would learn w1 (incremental), but what comes next is w2 (incremental)"),
        (not_the_next, "the plan would learn w3 (incremental), but what comes next is w2 (incremental)"),
        (two_at_once, "the plan would learn w2, w3 (incremental), but what comes next is w2 (incremental)"),
        (found_but_not_its_turn, "the plan would learn w9 (incremental), but what comes next is w2 (incremental)"),
        (pinned, "the plan would learn w2, but there is no round now: rolled back to round 1"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_round__of_a_plan_that_does_not_fit_does_nothing_and_says_how_the_line_stands(
    make: Callable[[TestLine], RoundPlan], found: str, grown: TestLine
) -> None:
    before = (grown.store / "lineage.json").read_bytes()
    if make is round_behind:  # the same round with the same increments has ended: that is no outdated plan
        plan = make(grown).model_copy(update={"increments": grown.resource.spec.increments[1:]})
    else:
        plan = make(grown)
    result = round_of(grown, plan)
    assert result.exit_code == ExitCode.OUTDATED
    assert result.message.startswith(found)
    assert "Make the plan anew" in result.message
    assert result.mirror == Mirror.of(grown.lineage)
    assert result.store == ABLE
    assert (result.attempt, result.stage) == (0, "")
    assert (grown.store / "lineage.json").read_bytes() == before
    assert not (grown.store / "attempts" / "0002").exists()


def test_fit__whom_a_full_retraining_is_owed_to_only_the_store_knows(line: TestLine) -> None:
    """The rejected increment was taken out of the list: a mirror just says that a full retraining is owed."""
    plan = planned(line)
    lineage = Lineage(line=plan.line, round=plan.round - 1, retrain_full=("gone",))
    step = plan_next(line.resource, Mirror.of(lineage).lineage(plan.line, plan.spec.increments, plan.spec.increments))
    assert isinstance(step, RoundPlan)
    assert (step.strategy, plan.strategy) == ("full", "incremental")
    here = find_line(plan.line, plan.spec, None)
    assert fit(step, here, lineage).strategy == "incremental"


def test_round__of_a_held_line_is_outdated_until_the_hold_is_lifted(grown: TestLine) -> None:
    grown.spec["evaluation"]["gate"] |= {"classFloor": {"leaf": 0.99}, "onReject": "hold"}
    rejected = round_of(grown, planned(grown))
    assert (rejected.exit_code, rejected.verdict) == (ExitCode.REJECTED, "rejected")
    assert rejected.mirror is not None and rejected.mirror.held is not None
    stale = RoundPlan.model_validate_json((grown.root / "plan.json").read_text()).model_copy(update={"round": 3})
    result = round_of(grown, stale)
    assert result.exit_code == ExitCode.OUTDATED
    assert "there is no round now: Round 2 was rejected and onReject is hold" in result.message
    lifted = round_of(grown, stale.model_copy(update={"retry": "again"}))
    assert (lifted.exit_code, lifted.round) == (ExitCode.REJECTED, 3)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param(lambda items: items[0].update(uri="file:///elsewhere"), "spec.increments[0].uri", id="changed"),
        pytest.param(lambda items: items.reverse(), "spec.increments[0]", id="reordered"),
    ],
)
def test_round__what_was_trained_stands_still_in_the_spec(
    change: Callable[[list[dict[str, object]]], None], where: str, grown: TestLine
) -> None:
    change(grown.spec["increments"])
    result = round_of(grown, planned(grown))
    assert (result.exit_code, result.where) == (ExitCode.BAD_SPEC, where)
    assert result.mirror == Mirror.of(grown.lineage)


def test_round__a_delivery_that_was_found_and_is_listed_now_is_refused_in_words(grown: TestLine) -> None:
    lineage = grown.lineage
    found = Settled(increment=grown.resource.spec.increments[1], round=1, outcome="learned", discovered=True)
    after = lineage.model_copy(update={"settled": (*lineage.settled, found)})
    (grown.store / "lineage.json").write_text(after.model_dump_json(by_alias=True))
    result = round_of(grown, planned(grown))
    assert (result.exit_code, result.where) == (ExitCode.BAD_SPEC, "spec.increments[1]")
    assert "was found by discover and learned in round 1" in result.message


def test_round__several_found_deliveries_are_learned_together(grown: TestLine) -> None:
    w2 = grown.spec["increments"].pop()
    w3 = {"name": "w3", "uri": w2["uri"].replace("w2", "w3")}
    found = tuple(Increment.model_validate(item) for item in (w2, w3))
    base = grown.lineage.current
    assert base is not None
    plan = RoundPlan(
        line="oak", round=2, increments=found, history=(), base=base.model_copy(update={"classes": ()}),
        known_classes=(), strategy="incremental", reason="found", spec=grown.resource.spec,
    )  # fmt: skip
    result = round_of(grown, plan)
    assert result.verdict == "published"
    assert [item.discovered for item in grown.lineage.settled] == [False, True, True]
    assert result.mirror is not None
    assert (result.mirror.settled, result.mirror.discovered) == (1, 2)


def test_round__bad_data_is_told_with_how_the_line_stands(grown: TestLine) -> None:
    grown.spec["increments"][1]["uri"] = draw_delivery(grown.root / "none", (), 0, seed=1).as_uri()
    result = round_of(grown, planned(grown))
    assert (result.exit_code, result.stage, result.attempt) == (ExitCode.BAD_DATA, "fetch", 1)
    assert result.started
    assert result.mirror == Mirror.of(grown.lineage)


def test_round__in_a_store_that_can_not_be_read_says_nothing_of_the_line(grown: TestLine) -> None:
    plan = planned(grown)
    (grown.store / "lineage.json").write_text("{}")
    result = round_of(grown, plan)
    assert result.exit_code == ExitCode.STORE
    assert result.mirror is None
    assert result.store == ABLE


# Going back ----------------------------------------------------------------------------------------------------------


def back_to(line: TestLine, number: int) -> RollbackPlan:
    return RollbackPlan(line="oak", to=number, reason="spec.rollbackTo asks for it", spec=line.resource.spec)


def test_rollback__makes_an_earlier_model_current_and_may_be_repeated(grown: TestLine) -> None:
    assert grown.run().code == 0
    expected = roll_back(grown.lineage, 1)
    code, message = call(grown, "rollback", back_to(grown, 1))
    result = RoundResult.from_message(message)
    assert (code, result.verdict, result.round, result.attempt) == (0, "rolledBack", 1, 1)
    assert grown.lineage == expected
    assert result.mirror == Mirror.of(expected)
    assert result.store == ABLE
    assert (result.digest, result.classes) == (expected.current.digest, ("ring", "bark"))  # type: ignore[union-attr]
    assert "round 1 is the line's model again" in result.message
    assert call(grown, "rollback", back_to(grown, 1)) == (code, message)
    assert grown.lineage == expected


def test_rollback__to_a_round_without_a_model(grown: TestLine) -> None:
    code, message = call(grown, "rollback", back_to(grown, 7))
    result = RoundResult.from_message(message)
    assert (code, result.where) == (ExitCode.BAD_SPEC, "spec.rollbackTo")
    assert result.mirror == Mirror.of(grown.lineage)


def test_rollback__leaves_its_result_also_where_there_is_no_plan(grown: TestLine) -> None:
    code, message = call(grown, "rollback", planned(grown))
    assert code == ExitCode.BAD_SPEC
    assert "no plan of this version" in RoundResult.from_message(message).message


# Looking for deliveries ----------------------------------------------------------------------------------------------


@pytest.fixture
def inbox(grown: TestLine) -> Path:
    """A folder with deliveries: two new ones, one listed, one settled, and what is none."""
    root = grown.root / "inbox"
    draw_delivery(root / "2026-11-09", ("ring",), 3, seed=5)
    draw_delivery(root / "2026-11-02", ("ring",), 2, seed=6)
    draw_delivery(root / "2026-11-02", ("ring",), 1, seed=7, split="val")
    draw_delivery(root / "2026-11-02", ("ring",), 4, seed=8, split="test")  # belongs to nobody
    draw_delivery(root / "listed", ("ring",), 1, seed=9)
    draw_delivery(root / "w1", ("ring",), 1, seed=9)
    draw_delivery(root / "Week_1", ("ring",), 1, seed=9)
    (root / "empty" / "images").mkdir(parents=True)
    (root / ".trash").mkdir()
    (root / "readme.txt").write_text("deliveries")
    return root


def look(line: TestLine, number: int = 1) -> LookResult:
    plan = LookPlan(line="oak", number=number, spec=line.resource.spec)
    return LookResult.from_message(call(line, "discover", plan)[1])


def test_discover__finds_what_no_round_has_settled_in_the_order_of_names(grown: TestLine, inbox: Path) -> None:
    grown.spec["discover"] = {"uri": inbox.as_uri()}
    grown.spec["increments"].append({"name": "by-uri", "uri": (inbox / "listed").as_uri() + "/"})
    seen = look(grown, 4)
    assert (seen.exit_code, seen.line, seen.number) == (0, "oak", 4)
    assert [(item.name, item.images) for item in seen.deliveries] == [("2026-11-02", 3), ("2026-11-09", 3)]
    assert seen.mirror == Mirror.of(grown.lineage)
    assert "'Week_1' (a delivery is named by" in seen.message
    assert "'empty' (no picture" in seen.message
    assert ".trash" not in seen.message


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "labels/train/new.txt").write_text(""), id="comes"),
        pytest.param(lambda folder: next(folder.glob("images/train/*.png")).unlink(), id="goes"),
        pytest.param(lambda folder: (folder / "names.json").write_text('["ring", "bark"]'), id="changes"),
    ],
)
def test_discover__a_digest_changes_with_any_object(
    change: Callable[[Path], object], grown: TestLine, inbox: Path
) -> None:
    grown.spec["discover"] = {"uri": inbox.as_uri()}
    before = look(grown)
    assert look(grown).deliveries == before.deliveries
    change(inbox / "2026-11-09")
    after = look(grown)
    assert after.deliveries[0] == before.deliveries[0]
    assert after.deliveries[1].digest != before.deliveries[1].digest


def test_discover__of_a_line_that_never_ran(line: TestLine) -> None:
    draw_delivery(line.root / "inbox" / "a", ("ring",), 1, seed=1)
    line.spec["discover"] = {"uri": (line.root / "inbox").as_uri()}
    line.spec["increments"] = []
    seen = look(line)
    assert [item.name for item in seen.deliveries] == ["a"]
    assert seen.mirror == Mirror.of(lineage_of(line))


def test_discover__in_a_folder_that_is_not_there(grown: TestLine) -> None:
    grown.spec["discover"] = {"uri": "file:///no/such/inbox"}
    seen = look(grown)
    assert seen.exit_code == ExitCode.STORE
    assert seen.where == "spec.discover.uri: file:///no/such/inbox"
    assert seen.mirror == Mirror.of(grown.lineage)


def test_discover__without_a_folder_to_look_into(grown: TestLine) -> None:
    seen = look(grown)
    assert (seen.exit_code, seen.where) == (ExitCode.BAD_SPEC, "spec.discover")


def test_discover__many_deliveries_fit_into_the_message(grown: TestLine) -> None:
    for number in range(120):
        folder = grown.root / "inbox" / f"delivery-{number:03d}" / "images"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"picture")
    grown.spec["discover"] = {"uri": (grown.root / "inbox").as_uri()}
    seen = look(grown)
    assert seen.deliveries[0].name == "delivery-000"
    assert 20 < len(seen.deliveries) < 120
    assert len(seen.deliveries) + seen.more == 120


def test_discover__prints_for_programs(grown: TestLine, inbox: Path) -> None:
    assert grown.capture is not None
    grown.spec["discover"] = {"uri": inbox.as_uri()}
    grown.capture.readouterr()
    call(grown, "discover", LookPlan(line="oak", number=1, spec=grown.resource.spec), "--json")
    shown = json.loads(grown.capture.readouterr().out)
    assert [item["name"] for item in shown] == ["2026-11-02", "2026-11-09", "listed"]
