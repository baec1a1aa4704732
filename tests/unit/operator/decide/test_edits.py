"""Edits of a line while it grows: appended, removed, reordered, changed, rolled back, broken and mended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.operator.decide.world import World, line_resource
from treering_api import RollbackPlan
from treering_operator.actions import DeleteJob, EnsureJob


def increments(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "uri": f"s3://deliveries/{name}"} for name in names]


def training(**spec: Any) -> World:
    """A world whose first round's pod runs."""
    world = World(line_resource(**spec))
    world.step()
    (job,) = world.going()
    world.start(job.name)
    world.quiet()
    return world


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"increments": increments("w47", "w48", "w49")}, id="appended"),
        pytest.param({"increments": increments("w47")}, id="later-one-removed"),
        pytest.param({"training": {"patience": 3}, "policies": {"replay": {"ratio": 0.5}}}, id="policies"),
        pytest.param({"queue": "gpus"}, id="queue"),
    ],
)
def test_edit__a_running_round_stays(edit: dict[str, Any]) -> None:
    world = training()
    world.edit(**edit)
    decision = world.step()
    assert (decision.actions, decision.status.state, decision.status.observed_generation) == ((), "Training", 2)


def test_edit__appended_ones_are_outstanding() -> None:
    world = training()
    world.append("w49", "w50")
    assert world.step().status.outstanding == 4


@pytest.mark.parametrize("names", [("w48",), ("w48", "w47"), ("w46", "w47", "w48")], ids=["gone", "later", "before"])
def test_edit__what_runs_is_no_longer_next(names: tuple[str, ...]) -> None:
    world = training()
    (job,) = world.going()
    world.edit(increments=increments(*names))
    assert world.step().actions == (DeleteJob(job.name, job.uid),)
    assert world.grow().status.learned == names


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param(("w48",), "spec.increments: increment 'w47' was learned in round 2, but is gone.", id="removed"),
        pytest.param(("w48", "w47"), "spec.increments[0]: found 'w48' where 'w47' was learned", id="reordered"),
        pytest.param((), "spec.increments: nothing to learn from", id="all-gone"),
    ],
)
def test_edit__trained_ones_stay_as_they_are(names: tuple[str, ...], words: str) -> None:
    world = World()
    world.grow()
    before = world.status()
    world.edit(increments=increments(*names))
    decision = world.quiet()
    status = decision.status
    assert (decision.actions, status.state, status.message[: len(words)]) == ((), "Stalled", words)
    assert (status.settled, status.mirror, status.rounds) == (before.settled, before.mirror, before.rounds)
    assert status.observed_generation == 2
    assert "BadSpec" in world.told.values()
    world.edit(increments=increments("w47", "w48"))
    assert world.grow().status.state == "UpToDate"


def test_edit__moved_after_it_was_trained() -> None:
    world = World()
    world.grow()
    world.edit(increments=[{"name": "w47", "uri": "s3://elsewhere/w47"}, *increments("w48")])
    assert world.quiet().status.message.startswith("spec.increments[0].uri: increment 'w47' was trained from s3://deli")


BROKEN = [
    pytest.param({"increments": increments("w48", "w47")}, "spec.increments[0]", id="contradicts-what-was-learned"),
    pytest.param({"retries": "many"}, "spec.retries", id="does-not-parse"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "where"), BROKEN)
def test_edit__broken_spec_still_harvests_and_heals(edit: dict[str, Any], where: str) -> None:
    world = World()
    world.step()
    world.run_all()
    world.step()
    (job,) = world.going()
    world.start(job.name)
    world.quiet()
    good = dict(world.resource["spec"])
    world.edit(**edit)
    stalled = world.quiet()
    assert (stalled.actions, stalled.status.state, stalled.status.message[: len(where)]) == ((), "Stalled", where)
    (training_condition,) = (item for item in stalled.status.conditions if item.type == "Training")
    assert training_condition.status == "True"
    assert stalled.again == timedelta(seconds=15)
    world.kill_pods(job)
    world.run(job.name)
    harvested = world.step()
    assert (harvested.ended, harvested.status.mirror and harvested.status.mirror.round) == (("published",), 2)
    assert world.quiet().status.state == "Stalled"
    world.resource["spec"] = good
    world.resource["metadata"]["generation"] += 1
    assert world.grow().status.learned == ("w47", "w48")


def test_rollback__running_round_goes_first() -> None:
    world = World()
    world.append("w49")
    for _ in range(2):
        world.quiet()
        world.run_all()
    world.quiet()
    (job,) = world.going()
    pod = world.start(job.name)
    world.slow = True
    world.edit(rollbackTo=1)
    assert world.step().actions == (DeleteJob(job.name, job.uid),)
    assert world.step().actions == ()
    world.finish_deletions()
    world.pods.append(pod)
    assert world.step().actions == ()
    world.pods.remove(pod)
    (action,) = world.step().actions
    assert isinstance(action, EnsureJob) and isinstance(action.plan, RollbackPlan)
    assert (action.plan.to, world.status().message) == (1, "Going back to the model of round 1")


def test_rollback__there_and_onwards() -> None:
    world = World()
    world.grow()
    world.edit(rollbackTo=1)
    status = world.grow().status
    assert (status.state, status.learned, status.model and status.model.round) == ("RolledBack", ("w47",), 1)
    assert (status.round, status.outstanding) == (2, 1)
    assert "RolledBack" in world.told.values()
    world.edit(rollbackTo=None)
    assert (world.grow().status.learned, world.status().round) == (("w47", "w48"), 3)


def test_rollback__twice_to_the_same_round() -> None:
    world = World()
    world.grow()
    for to in (1, 2, 1):
        world.edit(rollbackTo=to)
        assert world.grow().status.state == "RolledBack"
        assert world.lineage.current is not None and world.lineage.current.round == to


def test_rollback__to_what_is_current_already() -> None:
    world = World()
    world.grow()
    world.edit(rollbackTo=2)
    decision = world.quiet()
    assert (decision.actions, decision.status.state) == ((), "RolledBack")


def test_rollback__to_the_current_one_stops_a_running_round() -> None:
    world = World()
    world.step()
    world.run_all()
    world.quiet()
    (job,) = world.going()
    world.edit(rollbackTo=1)
    assert world.step().actions == (DeleteJob(job.name, job.uid),)


def test_rollback__to_a_round_that_published_nothing() -> None:
    world = World()
    world.grow()
    world.edit(rollbackTo=7)
    status = world.grow().status
    assert (status.state, status.failure and status.failure.reason) == ("Stalled", "BadSpec")
    assert status.message.startswith("spec.rollbackTo: round 7 published no model. Published rounds are: 1, 2.")
    world.edit(rollbackTo=None)
    assert world.grow().status.state == "UpToDate"


def test_rollback__taken_back_before_it_ran() -> None:
    world = World()
    world.grow()
    world.edit(rollbackTo=1)
    world.quiet()
    (job,) = world.going("rollback")
    world.edit(rollbackTo=None)
    assert world.step().actions == (DeleteJob(job.name, job.uid),)
    assert world.grow().status.state == "UpToDate"


def test_retry__a_very_long_annotation() -> None:
    world = World(line_resource(evaluation={"gate": {"onReject": "hold"}}))
    world.resource["metadata"]["annotations"]["treering.dev/retry"] = "again " * 500
    world.quiet()
    world.run_all("reject")
    assert world.quiet().status.state == "Held"
