from __future__ import annotations

from datetime import UTC, datetime

import pytest

from treering_api import BadSpecError, Status
from treering_operator.cluster.errors import ConflictError, ForbiddenError, InvalidError, UnavailableError
from treering_operator.decide import decide
from treering_operator.observed import Observed
from treering_operator.settings import Settings
from treering_operator.trouble import describe, reason_of, stalled, stored_status

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (BadSpecError("spec.x", "found y", "Mend it"), "BadSpec", "spec.x: found y. Mend it"),
        (InvalidError(422, "Invalid", "spec.template: no"), "BadSpec", "spec.template: no"),
        (ForbiddenError(403, "Forbidden", "exceeded quota"), "NotStarting", "exceeded quota"),
        (KeyError("oops"), "InternalError", "KeyError: 'oops'"),
    ],
    ids=["bad spec", "refused", "forbidden", "a fault of ours"],
)
def test_trouble__that_a_person_must_know_of_is_described(error: Exception, reason: str, said: str) -> None:
    described = describe(error)
    assert described is not None
    assert described[0] == reason
    assert said in described[1]


def test_trouble__that_passes_is_not() -> None:
    assert describe(UnavailableError(503, "ServiceUnavailable", "")) is None
    assert describe(ConflictError(409, "Conflict", "")) is None


def test_trouble__reasons_for_metrics_are_bounded() -> None:
    assert reason_of(UnavailableError(503, "x" * 100, "")) == "ApiError"
    assert reason_of(ValueError("anything")) == "InternalError"


def test_stalled__keeps_what_was_known_and_the_time_it_began() -> None:
    first = stalled(Status(round=3, map50=0.5), 7, "BadSpec", "because", NOW)
    second = stalled(first, 8, "BadSpec", "because of more", LATER)
    assert (second.state, second.round, second.map50, second.observed_generation) == ("Stalled", 3, 0.5, 8)
    conditions = {condition.type: condition for condition in second.conditions}
    assert conditions["Stalled"].status == "True"
    assert conditions["Ready"].status == "False"
    assert conditions["Stalled"].message == "because of more"
    assert conditions["Stalled"].last_transition_time == "2026-11-24T10:00:00Z"


def test_stalled__a_trouble_that_lasts_begins_once_though_each_try_begins_well() -> None:
    began = stalled(Status(), 1, "NotStarting", "a full quota", NOW)
    well = decide(Observed({"metadata": {"name": "a", "generation": 1}}, (), (), None, LATER), Settings("i")).status
    again = stalled(well, 1, "NotStarting", "a full quota", LATER, before=began)
    times = {item.type: item.last_transition_time for item in again.conditions}
    assert {times[name] for name in ("Ready", "Reconciling", "Stalled")} == {"2026-11-24T10:00:00Z"}


def test_stored_status__of_nonsense_is_an_empty_one() -> None:
    assert stored_status({"status": {"round": "three", "state": "Odd"}}) == Status()
    assert stored_status({}) == Status()
