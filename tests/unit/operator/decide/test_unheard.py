"""A Job that is seen to have ended before its pods are: their last word is waited for, but not for ever."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.decide.world import World, line_resource
from treering_operator.observed import PodView


def ended_unheard(kind: str) -> tuple[World, PodView]:
    """A world whose Job ended well, and the pod with its word, of which the operator still sees the running one."""
    more = {"increments": [], "discover": {"uri": "s3://drop/cards"}} if kind == "discovery" else {}
    world = World(line_resource(**more))
    world.deliver("d1")
    world.step()
    (job,) = world.going(kind)
    world.run(job.name)
    said = world.pods[0]
    world.pods[0] = replace(said, running=True, phase="Running", termination=None)
    return world, said


def test_unheard__round_is_harvested_when_its_pod_is_seen_to_have_ended() -> None:
    world, said = ended_unheard("round")
    decision = world.step()
    assert (decision.actions, decision.ended, world.status().harvested) == ((), (), ())
    assert "Waiting for the last word of cards-r1" in world.status().message
    assert decision.again is not None
    world.pods[0] = said
    assert world.step().ended == ("published",)


def test_unheard__round_of_a_pod_that_is_never_heard_is_asked_again() -> None:
    world, _ = ended_unheard("round")
    world.step()
    world.tick(minutes=2)
    world.step()
    assert world.status().unanswered is not None
    world.pods.clear()
    assert world.grow().status.state == "UpToDate"


def test_unheard__look() -> None:
    world, said = ended_unheard("discovery")
    decision = world.step()
    discovery = world.status().discovery
    assert discovery is not None
    assert (decision.actions, discovery.failure, discovery.looks) == ((), "", 0)
    world.pods[0] = said
    world.step()
    discovery = world.status().discovery
    assert discovery is not None
    assert [item.name for item in discovery.deliveries] == ["d1"]
