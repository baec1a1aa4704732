"""A line in a Kueue queue on a real API server; the test plays Kueue, which manages a Job by `spec.suspend` alone."""

from __future__ import annotations

import time
from typing import Any

from tests.integration.conftest import JOBS, World
from tests.plugins.operators import Starter

SETTLE_S = 2.0


def admit(world: World, *, suspend: bool) -> None:
    """What Kueue does when it admits a Job, or takes its quota away again."""
    (job,) = world.jobs()
    path = f"{JOBS}/namespaces/{world.namespace}/jobs/{job['metadata']['name']}"
    world.server.request("PATCH", path, {"spec": {"suspend": suspend}})


def suspended(world: World) -> list[bool]:
    return [bool(job["spec"]["suspend"]) for job in world.jobs()]


def state(world: World) -> Any:
    return world.status().get("state")


def test_queue__job_waits_runs_is_preempted_and_goes_on(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first", queue="vision")
    world.wait("queued", lambda: state(world) == "Queued")
    (job,) = world.jobs()
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "vision"
    time.sleep(SETTLE_S)
    assert suspended(world) == [True], "only Kueue lets it go"

    admit(world, suspend=False)
    kubelet = world.player.kubelet
    kubelet.running(kubelet.await_pod(job["metadata"]["name"]))
    world.wait("training", lambda: state(world) == "Training")

    admit(world, suspend=True)  # preempted
    for pod in kubelet.pods():
        kubelet.gone(pod["metadata"]["name"])
    world.wait("queued again", lambda: state(world) == "Queued")
    time.sleep(SETTLE_S)
    assert suspended(world) == [True], "the operator does not fight for it"

    admit(world, suspend=False)
    world.play_until_learned(1)
    assert [one["metadata"]["uid"] for one in world.jobs()] == [job["metadata"]["uid"]], "one Job all along"


def test_queue__suspended_line_holds_no_quota(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first", queue="vision")
    world.wait("queued", lambda: state(world) == "Queued")
    world.apply("cards", "first", queue="vision", suspend=True)
    world.wait("its Job is gone", lambda: not world.jobs() and state(world) == "Suspended")
    world.apply("cards", "first", queue="vision", suspend=False)
    world.wait("queued anew", lambda: suspended(world) == [True] and state(world) == "Queued")
    admit(world, suspend=False)
    world.play_until_learned(1)
