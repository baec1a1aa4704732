"""Names of children and words of a status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.unit.operator.decide.world import LINE, World
from treering_api import Mirror, RollbackPlan, RoundPlan
from treering_operator.decide.wording import counted, cut, listed, moment, read_moment, span
from treering_operator.resources.names import discovery_job, is_discovery, rollback_job, round_job


def first_plan() -> RoundPlan:
    world = World()
    world.step()
    (plan,) = world.plans.values()
    assert isinstance(plan, RoundPlan)
    return plan


def test_names__same_work_same_name() -> None:
    plan = first_plan()
    assert round_job(LINE, plan) == f"cards-r1-{plan.work_digest()[:8]}"
    assert round_job(LINE, plan.model_copy(update={"retry": "again"})) != round_job(LINE, plan)


def test_names__going_back_from_another_place_is_another_job() -> None:
    plan = RollbackPlan(line=LINE, to=1, reason="asked", spec=first_plan().spec)
    names = {rollback_job(LINE, plan, Mirror(round=number)) for number in (2, 2, 3)}
    assert len(names) == 2 and all(name.startswith("cards-b1-") for name in names)


@pytest.mark.parametrize(
    ("job", "expected"),
    [(discovery_job(LINE, 7), True), ("cards-r7-aaaaaaaa", False), ("cards-d", False), ("7", False)],
)
def test_is_discovery__by_name(job: str, expected: bool) -> None:
    assert is_discovery(LINE, job) is expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (60, "1m"), (5400, "1h30m"), (86_400 * 2 + 3600, "2d1h"), (-5, "0s")],
)
def test_span__for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_moment__there_and_back() -> None:
    time = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)
    assert read_moment(moment(time)) == time
    assert moment(time.astimezone(timezone(timedelta(hours=5)))) == "2026-11-24T01:02:03Z"


@pytest.mark.parametrize("text", [None, "", "soon"])
def test_read_moment__no_time(text: str | None) -> None:
    assert read_moment(text) is None


def test_words__cut_counted_listed() -> None:
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")
    assert (counted(1, "delivery"), counted(2, "delivery"), counted(0, "image")) == (
        "1 delivery", "2 deliveries", "0 images"
    )  # fmt: skip
    assert listed(str(number) for number in range(7)) == "0, 1, 2, 3, 4 and 2 more"
