"""What a round can be besides one pod at once: found by a look, taken back, queued and preempted, shared by pods."""

from __future__ import annotations

from tests.plugins.cluster_lines import LONG, SMALL, PlantedLine, Team
from tests.plugins.programs import wait_until


def test_discovered__deliveries_become_rounds_and_one_is_taken_back(team: Team) -> None:
    team.deliver("w1", "inbox")
    line = team.plant("hazel", (), discover={"uri": f"s3://{team.bucket}/inbox", "interval": "5s", "minImages": 6})
    line.await_rounds(1)
    team.deliver("w2", "inbox")
    line.await_rounds(2)
    assert [(one.increments, one.verdict) for one in line.lineage.rounds] == [
        (("w1",), "published"),
        (("w2",), "published"),
    ]
    assert "DeliveriesFound" in line.events()

    line.edit(rollbackTo=1)
    line.wait("back at round 1", lambda: line.status.get("state") == "RolledBack")
    current = line.lineage.current
    assert current is not None
    assert (current.round, line.status["model"]["digest"]) == (1, current.digest)
    line.release.server.request("DELETE", line.path)
    wait_until("its children are gone", lambda: not line.pods(), 120)


def admit(line: PlantedLine, *, suspend: bool) -> None:
    """What Kueue does with a Job of its queue, as its documentation says: nothing but this."""
    path = f"/apis/batch/v1/namespaces/{line.namespace}/jobs/{line.status['job']}"
    line.release.server.request("PATCH", path, {"spec": {"suspend": suspend}})


def is_queued(line: PlantedLine) -> bool:
    return line.status.get("state") == "Queued" and not line.pods()


def test_queued__preempted_round_goes_on_from_its_checkpoint(team: Team) -> None:
    line = team.plant("alder", training=LONG, queue="vision")
    line.wait("queued", lambda: is_queued(line))
    admit(line, suspend=False)
    line.await_epoch(5)
    admit(line, suspend=True)
    line.wait("queued again", lambda: is_queued(line))
    admit(line, suspend=False)
    assert line.first_epoch(attempt=2) > 4, "began anew"
    line.await_rounds(1)
    assert [(one["verdict"], one["attempt"]) for one in line.status["rounds"]] == [("published", 2)]


def pod_of_node(line: PlantedLine, node: int) -> str:
    index = "batch.kubernetes.io/job-completion-index"
    found = (pod["metadata"] for pod in line.pods() if pod["status"]["phase"] == "Running")
    return next((str(one["name"]) for one in found if one["annotations"][index] == str(node)), "")


def test_several_nodes__share_a_round_and_survive_the_loss_of_one(team: Team) -> None:
    line = team.plant("ivy", training=LONG, compute=SMALL | {"nodes": 2, "gpus": 0})
    line.await_epoch(5)
    services = line.release.server.kubectl("get", "services", "-n", team.namespace, "-l", "treering.dev/line=ivy")
    assert line.status["job"] in services
    lost = pod_of_node(line, 1)
    line.release.server.kubectl("delete", "pod", lost, "-n", team.namespace, "--wait=false")
    line.wait("another pod in its place", lambda: pod_of_node(line, 1) not in ("", lost))
    assert line.first_epoch(attempt=2) > 4, "began anew"
    line.await_rounds(1)
    assert [(one["verdict"], one["attempt"]) for one in line.status["rounds"]] == [("published", 2)]
    assert line.record(1)["train"]["device"] == "2 x cpu"
