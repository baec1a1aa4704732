"""Deliveries that looks find: when they count, when they are enough, and what the status says meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.operator.decide.world import LINE, World, line_resource
from treering_api import Discovery, Lineage, LookPlan, Status
from treering_operator.actions import DeleteJob, EnsureJob
from treering_operator.observed import JobView


def looking(**discover: Any) -> World:
    """A world whose line only discovers."""
    return World(line_resource(increments=[], discover={"uri": "s3://drop/cards/", **discover}))


def look(world: World) -> Status:
    """The next look, when it is time."""
    world.quiet()
    if not world.going("discovery"):
        world.tick(minutes=16)
        world.quiet()
    for job in world.going("discovery"):
        world.run(job.name)
    world.quiet()
    return world.status()


def discovery(status: Status) -> Discovery:
    assert status.discovery is not None
    return status.discovery


def going(world: World) -> JobView:
    (job,) = world.going("discovery")
    return job


def test_look__first_one_at_once_then_after_the_interval() -> None:
    world = looking(interval="30m")
    (action,) = world.step().actions
    assert isinstance(action, EnsureJob) and isinstance(action.plan, LookPlan)
    assert (action.name, action.plan.number) == ("cards-d1", 1)
    world.run_all()
    decision = world.quiet()
    assert (world.jobs, decision.again) == ({}, timedelta(minutes=30))
    assert (decision.status.state, decision.status.message) == ("Waiting", "Nothing was delivered yet.")
    world.tick(minutes=30)
    assert [item.name for item in world.step().actions] == ["cards-d2"]


def test_look__delivery_counts_when_two_looks_saw_the_same() -> None:
    world = looking()
    world.deliver("d1", 10)
    status = look(world)
    assert [(item.name, item.uri, item.complete) for item in discovery(status).deliveries] == [
        ("d1", "s3://drop/cards/d1", False)
    ]
    assert (status.state, world.going("round")) == ("Waiting", [])
    assert discovery(status).waiting_for == "to be seen unchanged by one more look: d1"
    world.deliver("d1", 12)
    assert not discovery(look(world)).deliveries[0].complete
    status = look(world)
    assert [job.increments for job in world.going("round")] == [("d1",)]
    assert (discovery(status).images, discovery(status).waiting_for) == (12, "")
    assert list(world.told.values()).count("DeliveriesFound") == 1


def test_look__waits_for_enough_images() -> None:
    world = looking(minImages=100, maxWait="2d")
    world.deliver("d1", 30)
    look(world)
    status = look(world)
    assert discovery(status).waiting_for == (
        "30 images in 1 delivery here, 70 more needed (minImages), or waits until 2026-11-26T00:01:40Z (maxWait)"
    )
    assert (status.state, status.outstanding) == ("Waiting", 0)
    world.deliver("d2", 70)
    look(world)
    look(world)
    assert [job.increments for job in world.going("round")] == [("d1", "d2")]
    assert world.status().outstanding == 2
    world.grow()
    assert look(world).discovery is not None and discovery(world.status()).deliveries == ()
    assert world.published == ["d1", "d2"]


def test_look__oldest_has_waited_long_enough() -> None:
    world = looking(minImages=100, maxWait="1h")
    world.deliver("d1", 30)
    look(world)
    look(world)
    assert world.quiet().again is not None
    world.tick(hours=1)
    world.quiet()
    assert [job.increments for job in world.going("round")] == [("d1",)]


def test_look__names_of_the_spec_are_passed_over() -> None:
    world = World(line_resource(discover={"uri": "s3://drop/cards"}))
    world.deliver("w48")
    look(world)
    status = look(world)
    assert "passed over, because increments of the spec have the same names: w48" in discovery(status).waiting_for
    world.grow()
    assert world.published == ["w47", "w48"]


def test_look__empty_deliveries_start_nothing() -> None:
    world = looking(maxWait="1m")
    world.deliver("d1", 0)
    look(world)
    assert discovery(look(world)).waiting_for == "without an image: d1"
    assert world.going("round") == []


def test_look__more_than_one_message_holds() -> None:
    world = looking(minImages=1000)
    for number in range(90):
        world.deliver(f"a-delivery-with-a-long-name-{number:03d}", 1)
    look(world)
    status = look(world)
    found = discovery(status)
    assert found.more > 0 and len(found.deliveries) + found.more == 90
    assert [len(job.increments) for job in world.going("round")] == [min(50, len(found.deliveries))]
    for _ in range(12):
        world.grow()
        world.tick(minutes=16)
    world.tick(days=8)
    world.grow()
    assert len(world.published) == 90


def test_look__failure_stops_nothing_else() -> None:
    world = World(line_resource(discover={"uri": "s3://drop/cards"}))
    world.step()
    world.run(going(world).name, "crash")
    status = world.quiet().status
    assert discovery(status).failure == "StoreUnreachable: no answer"
    assert status.state == "Pending" and len(world.going("round")) == 1
    world.run_all()
    world.quiet()
    world.run_all()
    status = world.quiet().status
    assert (status.state, "last look for deliveries failed: StoreUnreachable" in status.message) == ("Retrying", True)
    assert look(world).state == "UpToDate"


def test_look__goes_on_while_a_round_runs() -> None:
    world = World(line_resource(discover={"uri": "s3://drop/cards"}))
    world.quiet()
    (job,) = world.going("round")
    world.start(job.name)
    world.deliver("d1")
    assert discovery(look(world)).deliveries[0].name == "d1"
    assert [item.name for item in world.going("round")] == [job.name]


def test_look__that_began_before_a_round_ended_is_not_believed() -> None:
    world = looking()
    world.deliver("d1")
    look(world)
    look(world)
    world.tick(minutes=16)
    world.quiet()
    old = going(world)
    pod = world.start(old.name)
    word = world.work(world.plans[old.name], "publish")
    for job in world.going("round"):
        world.run(job.name)
    world.quiet()
    if old.name in world.jobs:
        world.end_pod(pod, *word)
        world.end_job(old.name, "Complete")
    world.quiet()
    assert world.going("round") == []
    world.grow()
    assert world.published == ["d1"]


def test_look__suspended_line_does_not_look() -> None:
    world = looking()
    world.edit(suspend=True)
    assert world.quiet().actions == () and world.jobs == {}


def test_look__no_longer_asked_for() -> None:
    world = World(line_resource(discover={"uri": "s3://drop/cards"}))
    world.step()
    job = going(world)
    world.edit(discover=None)
    decision = world.step()
    assert DeleteJob(job.name, job.uid) in decision.actions
    assert decision.status.discovery is None


def test_look__other_folder_is_looked_into_at_once() -> None:
    world = looking()
    world.deliver("d1")
    look(world)
    world.edit(discover={"uri": "s3://drop/other"})
    decision = world.step()
    assert [item.name for item in decision.actions] == ["cards-d2"]
    world.run_all()
    world.quiet()
    (found,) = discovery(world.status()).deliveries
    assert (found.uri, found.complete) == ("s3://drop/other/d1", False)


def test_look__running_one_in_the_old_folder_is_stopped() -> None:
    world = looking()
    world.step()
    job = going(world)
    world.edit(discover={"uri": "s3://drop/other"})
    assert [type(item) for item in world.step().actions] == [DeleteJob, EnsureJob]
    assert going(world).name == "cards-d2" and job.name not in world.jobs


def test_look__lost_status_write() -> None:
    world = looking()
    world.step(write=False)
    assert [item.name for item in world.step().actions] == ["cards-d1"]
    assert world.step().actions == ()


def test_look__foreign_job_of_the_same_name() -> None:
    world = looking()
    world.step(write=False)
    world.jobs["cards-d1"] = replace(world.jobs["cards-d1"], line_uid="other")
    decision = world.step()
    assert (decision.actions, decision.again) == ((), timedelta(seconds=10))


def test_look__is_deleted_by_hand() -> None:
    world = looking()
    world.quiet()
    world.remove("cards-d1")
    assert [item.name for item in world.quiet().actions] == []
    assert going(world).name == "cards-d1"


def looks_of(world: World, times: int) -> int:
    """How many looks begin while so many end."""
    begun = 0
    for _ in range(times):
        world.finish_deletions()
        begun += sum(isinstance(action, EnsureJob) for action in world.step().actions)
        world.run_all()
        world.tick(seconds=5)
    return begun


def test_look__of_a_store_that_was_emptied_is_believed_the_second_time() -> None:
    world = World(line_resource(discover={"uri": "s3://drop/cards", "minImages": 15, "interval": "1h"}))
    world.grow()
    world.lineage = Lineage(line=LINE)
    world.published.clear()
    world.tick(hours=2)
    assert looks_of(world, 12) <= 4
    assert world.grow().status.state == "UpToDate"
    assert world.published == ["w47", "w48"]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (
            ("CreateContainerConfigError", 'secret "s3" not found'),
            '(CreateContainerConfigError): secret "s3" not found',
        ),
        (None, "no pod was made for the Job cards-d"),
    ],
    ids=["pod", "no-pod"],
)
def test_look__that_does_not_start_is_told(trouble: tuple[str, str] | None, words: str) -> None:
    world = World(line_resource(increments=[], discover={"uri": "s3://drop/cards"}))
    world.step()
    (job,) = world.going("discovery")
    if trouble:
        world.start(job.name, running=False, phase="Pending", started=None, trouble=trouble)
    assert world.quiet().again == timedelta(minutes=2)
    assert words not in world.status().message
    world.tick(minutes=2)
    assert words in world.quiet().status.message
    assert world.status().state == "Retrying"
    world.pods.clear()
    world.run(job.name)
    assert words not in world.quiet().status.message
