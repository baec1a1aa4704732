"""A running round of deliveries that a look found is let go on, whatever later looks see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.operator.decide.world import World, line_resource
from treering_operator.observed import JobView

DISCOVER = {"uri": "s3://drop/cards", "minImages": 10}


def learning() -> tuple[World, JobView]:
    """A world in which a delivery that was found is being learned."""
    world = World(line_resource(increments=[], discover=DISCOVER))
    world.deliver("m1")
    for _ in range(3):
        world.quiet()
        for job in world.going("discovery"):
            world.run(job.name)
        world.tick(minutes=20)
    world.quiet()
    (job,) = world.going("round")
    world.start(job.name)
    world.quiet()
    return world, job


def many_come_before(world: World) -> None:
    for place in range(300):
        world.deliver(f"a{place:030d}")
    for _ in range(2):
        world.tick(minutes=20)
        world.quiet()
        for job in world.going("discovery"):
            world.run(job.name)
        world.quiet()
    discovery = world.status().discovery
    assert discovery is not None
    assert "m1" not in {item.name for item in discovery.deliveries}


def discover_goes(world: World) -> None:
    world.edit(discover=None, increments=[{"name": "w47", "uri": "s3://deliveries/w47"}])
    world.quiet()


@pytest.mark.parametrize("change", [many_come_before, discover_goes])
def test_discovered__round_goes_on(change: Any) -> None:
    world, job = learning()
    change(world)
    assert [one.uid for one in world.going("round")] == [job.uid]
    assert not world.jobs[job.name].deleting
    world.end_pod(world.pods[-1], *world.work(world.plans[job.name], "publish"))
    world.end_job(job.name, "Complete")
    world.step()
    assert world.published == ["m1"]
    assert world.status().rounds[-1].increments == ("m1",)


def test_discovered__line_that_learned_them_is_up_to_date_and_says_so() -> None:
    world, job = learning()
    world.end_pod(world.pods[-1], *world.work(world.plans[job.name], "publish"))
    world.end_job(job.name, "Complete")
    world.quiet()
    for look in world.going("discovery"):
        world.run(look.name)
    status = world.quiet().status
    assert (status.state, status.message) == ("UpToDate", "Up to date: 1 delivery found and dealt with.")
    world.edit(increments=[{"name": "w47", "uri": "s3://deliveries/w47"}])
    status = world.grow().status
    assert status.message == "Up to date: 1 increment learned; 1 delivery found and dealt with."
