"""Lines on a real node: rounds run in pods, and whatever dies, every increment ends in a published model, once."""

from __future__ import annotations

import random
import time

import pytest

from tests.plugins.cluster_lines import LONG, PlantedLine, Team
from tests.plugins.helm import NAMESPACE
from tests.plugins.programs import wait_until


def assert_grown(line: PlantedLine) -> None:
    """Both increments are in the model, each by a published round of its own; status and store agree."""
    status, lineage = line.status, line.lineage
    assert [(one["round"], one["verdict"], one["increments"]) for one in status["rounds"]] == [
        (1, "published", ["w1"]),
        (2, "published", ["w2"]),
    ]
    assert [(one.round, one.verdict, one.increments) for one in lineage.rounds] == [
        (1, "published", ("w1",)),
        (2, "published", ("w2",)),
    ]
    assert lineage.current is not None
    assert status["model"]["digest"] == lineage.current.digest
    assert status["learned"] == ["w1", "w2"] == list(lineage.learned)
    assert (status["outstanding"], line.condition("Ready")["status"]) == (0, "True")
    assert sorted(lineage.current.classes) == ["bark", "leaf", "ring"]


def test_two_increments__one_after_the_other(team: Team) -> None:
    line = team.plant("oak")
    line.wait("first pod", line.running_pod)
    names = line.release.server.kubectl("get", "networkpolicies", "-n", team.namespace, "-o", "name")
    assert "networkpolicy.networking.k8s.io/oak-rounds" in names
    line.await_rounds(1)
    line.edit(increments=[team.increment("w1"), team.increment("w2")])
    line.await_rounds(2)
    assert_grown(line)
    assert {"RoundStarted", "RoundPublished"} <= line.events()
    heads, row = line.release.server.kubectl("get", "itr", "oak", "-n", team.namespace).splitlines()
    assert heads.split()[:4] == ["NAME", "STATE", "ROUND", "INCREMENT"]
    assert row.split()[:4] == ["oak", "UpToDate", "2", "w2"]


def test_operator_killed__at_random_moments(team: Team) -> None:
    moment = random.Random()
    line = team.plant("elm", ("w1", "w2"))
    kills: list[tuple[object, object]] = []
    while line.status.get("state") != "UpToDate" and len(kills) < 4:
        time.sleep(moment.uniform(0.2, 12))
        kills.append((line.status.get("round"), (line.status.get("progress") or {}).get("stage")))
        leader = line.release.leader()
        if leader in line.release.pods():
            line.release.server.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
    print(f"killed in (round, stage): {kills}")
    line.await_rounds(2)
    assert_grown(line)


def test_trainer_deleted__goes_on_from_its_checkpoint(team: Team) -> None:
    line = team.plant("ash", ("w1", "w2"), training=LONG)
    line.await_epoch(5)
    first = line.running_pod()
    line.release.server.kubectl("delete", "pod", first, "-n", team.namespace, "--wait=false")
    line.wait("another pod", lambda: line.running_pod() not in ("", first))
    assert line.first_epoch(attempt=2) > 4, "began anew"
    line.await_rounds(2)
    assert_grown(line)
    assert [one["attempt"] for one in line.status["rounds"]] == [2, 1]


def test_kubelet_restarted__while_a_round_runs(team: Team) -> None:
    node = team.release.node
    line = team.plant("fir", ("w1", "w2"), training=LONG)
    line.await_epoch(1)
    node.kill_kubelet()
    time.sleep(3)
    node.start_kubelet()
    line.await_rounds(2)
    assert_grown(line)
    assert [one["attempt"] for one in line.status["rounds"]] == [1, 1]


@pytest.mark.parametrize("resource", ["nvidia.com/gpu"])
def test_gpu__waits_until_a_node_has_one(team: Team, resource: str) -> None:
    line = team.plant("yew", compute={"gpus": 1, "gpuResource": resource})
    line.wait("Unschedulable", lambda: "Unschedulable" in (line.condition("Training").get("reason", ""),), 90)
    assert resource in line.condition("Training")["message"]
    (pod,) = line.pods()
    assert pod["status"]["phase"] == "Pending"
    team.release.node.advertise(resource, 1)
    wait_until("the pod has a node", lambda: bool(line.pods()[0]["spec"].get("nodeName")), 60)
    line.release.server.kubectl("delete", "itr", "yew", "-n", team.namespace)
    wait_until("its children are gone", lambda: not line.pods(), 120)
