"""A line's life on a real API server: applied, trained by played pods, edited, deleted; the operator dies often."""

from __future__ import annotations

import random
import time

import pytest

from tests.integration.conftest import World
from tests.plugins.api_server import Refusal
from tests.plugins.operators import Starter


def test_line__two_increments_become_two_rounds(world: World, operators: Starter) -> None:
    operator = operators()
    world.apply("cards", "first")
    world.play_until_learned(1)
    world.apply("cards", "first", "second")
    world.play_until_learned(2)
    status = world.status()
    assert status["learned"] == ["first", "second"]
    assert [(one["round"], one["verdict"]) for one in status["rounds"]] == [(1, "published"), (2, "published")]
    assert status["observedGeneration"] == 2
    assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"
    assert world.trainer.attempts == {("cards", 1): 1, ("cards", 2): 1}
    text = operator.get("/metrics")[1]
    assert 'treering_rounds_total{result="published"} 2.0' in text
    assert f'treering_line_round{{line="cards",namespace="{world.namespace}"}} 2.0' in text


def test_line__progress_is_read_from_the_pod(world: World, operators: Starter, progress_server: int) -> None:
    operators("--progress-port", str(progress_server))
    world.apply("cards", "first")
    kubelet = world.player.kubelet
    world.wait("a Job", lambda: bool(world.jobs()))
    kubelet.running(kubelet.await_pod(world.jobs()[0]["metadata"]["name"]))
    world.wait("progress", lambda: (world.status().get("progress") or {}).get("percent") == 42)
    assert world.status()["progress"]["stage"] == "train"
    assert world.status()["state"] == "Training"


def test_line__quiet_line_is_not_written_again(world: World, operators: Starter) -> None:
    operators("--resync", "1")
    world.apply("cards", "first")
    world.play_until_learned(1)
    version = world.line()["metadata"]["resourceVersion"]
    time.sleep(3)
    assert world.line()["metadata"]["resourceVersion"] == version


def test_line__deleted_takes_its_children_and_its_metrics_with_it(world: World, operators: Starter) -> None:
    operator = operators()
    world.apply("cards", "first")
    world.wait("a Job", lambda: bool(world.jobs()))
    world.delete()
    world.wait("no Job any more", lambda: not world.jobs())
    world.wait("no metric any more", lambda: 'line="cards"' not in operator.get("/metrics")[1])


def test_line__deleted_and_made_anew_takes_up_its_lineage(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first")
    world.play_until_learned(1)
    world.delete()
    world.wait("no Job any more", lambda: not world.jobs())
    world.apply("cards", "first", "second")
    world.play_until_learned(2)
    assert world.trainer.attempts == {("cards", 1): 1, ("cards", 2): 1}


def test_line__refused_job_is_told_in_the_status(world: World, operators: Starter) -> None:
    operators()
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    none = {"count/jobs.batch": "0"}
    world.server.request("POST", path, {"metadata": {"name": "none"}, "spec": {"hard": none}})
    world.server.request("PATCH", f"{path}/none/status", {"status": {"hard": none, "used": none}})
    world.wait("the quota", lambda: _is_refused(world))
    world.apply("cards", "first")
    world.wait("told", lambda: world.status().get("state") == "Stalled")
    assert "quota" in world.status()["message"]
    world.server.request("DELETE", f"{path}/none")
    world.play_until_learned(1)


@pytest.mark.parametrize("seed", range(3))
def test_operator__killed_at_random_moments_ends_the_same(world: World, operators: Starter, seed: int) -> None:
    dice = random.Random(seed)
    operator = operators("--no-leader-election")
    world.apply("cards", "first", "second")
    end_s = time.monotonic() + 60
    while world.status().get("learned") != ["first", "second"]:
        assert time.monotonic() < end_s, (world.status(), operator.words())
        time.sleep(dice.uniform(0, 0.6))
        world.player.play()
        if dice.random() < 0.4:
            operator.kill()
            world.player.play()
            operator = operators("--no-leader-election")
    world.play_until_learned(2)
    assert world.trainer.attempts == {("cards", 1): 1, ("cards", 2): 1}
    assert [one["verdict"] for one in world.status()["rounds"]] == ["published", "published"]


def _is_refused(world: World) -> bool:
    pod = {"restartPolicy": "Never", "containers": [{"name": "one", "image": "localhost/none"}]}
    job = {"metadata": {"name": "try"}, "spec": {"suspend": True, "template": {"spec": pod}}}
    try:
        world.server.request("POST", f"/apis/batch/v1/namespaces/{world.namespace}/jobs?dryRun=All", job)
    except Refusal as refusal:
        return refusal.code == 403
    return False
