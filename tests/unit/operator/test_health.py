from __future__ import annotations

from treering_operator.health import Ear, Health, Pulse


def test_health__names_the_watch_that_is_silent() -> None:
    now, heard = [100.0], {"jobs": 100.0, "pods": 100.0}
    pulses = tuple(Pulse(name, "in all namespaces", lambda name=name: heard[name]) for name in heard)  # type: ignore[misc]
    health = Health(pulses, 60.0, lambda: now[0])
    now[0] = 250.0
    heard["pods"] = 240.0
    assert health.dead() == []
    assert health.ages_s() == {"jobs": 150.0, "pods": 10.0}
    now[0] = 290.0
    assert health.dead() == ["the watch of jobs in all namespaces was last heard 190 s ago"]


def test_health__names_the_line_that_a_worker_is_stuck_with() -> None:
    now = [0.0]
    health = Health((), 60.0, lambda: now[0])
    health.began(("default", "cards"))
    health.began(("default", "dice"))
    health.ended(("default", "dice"))
    now[0] = 200.0
    assert health.dead() == ["a worker has been busy with line default/cards for 200 s"]


def test_ear__hears_each_namespace_for_itself() -> None:
    now = [0.0]
    ear = Ear(("team", "team-b"), lambda: now[0])
    health = Health(tuple(ear.pulse("lines", name) for name in ("team", "team-b")), 60.0, lambda: now[0])
    now[0] = 200.0
    ear.hear("/apis/treering.dev/v1alpha1/namespaces/team-b/incrementaltrains")
    assert health.dead() == ["the watch of lines in team by kopf was last heard 200 s ago"]


def test_ear__of_all_namespaces_hears_everything() -> None:
    now = [0.0]
    ear = Ear(("",), lambda: now[0])
    now[0] = 200.0
    ear.hear("/apis/treering.dev/v1alpha1/incrementaltrains")
    assert Health((ear.pulse("lines", ""),), 60.0, lambda: now[0]).dead() == []
