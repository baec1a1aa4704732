"""GPU time of rounds that are stopped counts once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.operator.decide.world import World, line_resource
from treering_operator.actions import DeleteJob
from treering_operator.observed import JobView


def trained(**spec: Any) -> tuple[World, JobView]:
    """A world whose first round has trained for 90 seconds."""
    world = World(line_resource(**spec))
    world.step()
    (job,) = world.going()
    world.start(job.name)
    world.jobs[job.name] = type(job)(**{name: getattr(world.jobs[job.name], name) for name in job.__slots__} | {
        "gpus": 2, "suspended": False,
    })  # fmt: skip
    world.quiet()
    world.tick(seconds=90)
    return world, job


STOPS: list[Any] = [
    pytest.param({}, {"increments": [{"name": "w99", "uri": "s3://deliveries/w99"}]}, id="removed"),
    pytest.param({"queue": "gpus"}, {"suspend": True}, id="suspended-in-a-queue"),
    pytest.param({}, {"store": {"uri": "s3://lines/moved"}}, id="moved"),
]


@pytest.mark.parametrize(("spec", "edit"), STOPS)
def test_spending__stopped_round_costs_once(spec: dict[str, Any], edit: dict[str, Any]) -> None:
    world, job = trained(**spec)
    world.slow = True
    world.edit(**edit)
    decision = world.step()
    assert DeleteJob(job.name, job.uid) in decision.actions
    assert (decision.gpu_seconds, decision.status.gpu_seconds, decision.status.gpu_hours) == (180.0, 180.0, "0.05")
    assert [item.uid for item in decision.status.stopped] == [job.uid]
    world.tick(seconds=20)
    again = world.step()
    assert (again.gpu_seconds, again.status.gpu_seconds) == (0.0, 180.0)
    world.finish_deletions()
    assert world.step().status.stopped == ()


def test_spending__lost_write_counts_when_it_is_made_good() -> None:
    world, _ = trained()
    world.edit(increments=[{"name": "w99", "uri": "s3://deliveries/w99"}])
    assert world.step(write=False).gpu_seconds == 180.0
    assert world.step().status.gpu_seconds == 180.0


def test_spending__deletion_that_failed_is_not_counted_twice_when_the_job_ends() -> None:
    world, job = trained()
    spec = world.resource["spec"]["increments"]
    world.edit(increments=[{"name": "w99", "uri": "s3://deliveries/w99"}])
    world.step(done=1)
    assert (world.status().gpu_seconds, world.jobs[job.name].deleting) == (180.0, False)
    world.edit(increments=spec)
    world.end_pod(world.pods[0], *world.work(world.plans[job.name], "publish"))
    world.end_job(job.name, "Complete")
    decision = world.step()
    assert (decision.status.learned, decision.status.gpu_seconds) == (("w47",), 180.0)


def test_spending__outdated_pod_ends_no_round_but_costs() -> None:
    world, job = trained()
    world.lineage = world.lineage.model_copy(update={"round": 7})
    world.end_pod(world.pods[0], *world.work(world.plans[job.name], "publish"))
    world.end_job(job.name, "Failed", "PodFailurePolicy")
    decision = world.step()
    assert (decision.ended, decision.gpu_seconds, decision.status.gpu_seconds) == ((), 180.0, 180.0)


def test_spending__every_round_that_ended_is_counted() -> None:
    world = World()
    world.step()
    world.run_all()
    world.step(write=False)
    world.step()
    world.run_all("reject")
    world.resource.pop("status")
    decision = world.step()
    assert decision.ended == ("published", "rejected")
