from __future__ import annotations

from typing import Any

import pytest

from tests.unit.operator.objects import container, job, pod
from treering_operator.cluster.views import job_view, pod_view


def test_job_view__keeps_what_decisions_rest_on() -> None:
    condition = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "exit 3"}
    ended = condition | {"lastTransitionTime": "2026-11-24T11:00:00Z"}
    view = job_view(job(active=0, failed=2, startTime="2026-11-24T10:30:00Z", conditions=[ended]))
    assert view is not None
    assert (view.line, view.line_uid, view.kind, view.number) == ("cards", "uid-cards", "round", 1)
    assert (view.digest, view.increments) == ("abc", ("a", "b"))
    assert (view.nodes, view.gpus, view.failed) == (2, 2, 2)
    assert (view.outcome, view.reason, view.message) == ("Failed", "PodFailurePolicy", "exit 3")
    assert view.finished is not None
    assert view.finished.hour == 11


def test_job_view__a_condition_on_the_way_is_no_end() -> None:
    view = job_view(
        job(conditions=[{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "False"}])
    )
    assert view is not None
    assert view.outcome == ""


def test_job_view__of_discovered_deliveries_and_its_store() -> None:
    raw = job()
    raw["metadata"]["annotations"] |= {"treering.dev/discovered": "true", "treering.dev/store": "s3://lines/cards"}
    view, plain = job_view(raw), job_view(job())
    assert view is not None and plain is not None
    assert (view.discovered, view.store, plain.discovered, plain.store) == (True, "s3://lines/cards", False, "")


@pytest.mark.parametrize("label", ["treering.dev/kind", "treering.dev/number"])
def test_job_view__is_none_for_a_job_that_is_not_ours(label: str) -> None:
    foreign = job()
    foreign["metadata"]["labels"][label] = "odd"
    assert job_view(foreign) is None


def test_pod_view__running() -> None:
    view = pod_view(pod(podIP="10.0.0.1", **container(running={"startedAt": "2026-11-24T10:00:05Z"})))
    assert view is not None
    assert (view.running, view.ip, view.index, view.job, view.job_uid) == (
        True,
        "10.0.0.1",
        1,
        "cards-r1-0",
        "uid-cards-r1-0",
    )
    assert view.started is not None
    assert view.trouble is None


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({"conditions": [UNSCHEDULABLE]}, ("Unschedulable", "no GPU")),
        (
            container(waiting={"reason": "ImagePullBackOff", "message": "no such image"}),
            ("ImagePullBackOff", "no such image"),
        ),
        (container(waiting={"reason": "ContainerCreating"}), None),
        ({}, None),
    ],
    ids=["unschedulable", "no image", "creating", "new"],
)
def test_pod_view__says_why_it_does_not_start(status: dict[str, Any], trouble: tuple[str, str] | None) -> None:
    view = pod_view(pod(phase="Pending", **status))
    assert view is not None
    assert view.trouble == trouble


def test_pod_view__keeps_the_last_word() -> None:
    view = pod_view(pod(phase="Failed", **container(terminated={"exitCode": 3, "reason": "Error", "message": "{}"})))
    assert view is not None
    assert view.termination is not None
    assert (view.termination.exit_code, view.termination.message) == (3, "{}")


def test_pod_view__an_evicted_pod_ended_too() -> None:
    view = pod_view(pod(phase="Failed", reason="Evicted", message="the node was low on memory"))
    assert view is not None
    assert view.termination is not None
    assert view.termination.reason == "Evicted"


def test_pod_view__killed_by_its_deadline_says_so() -> None:
    ended = container(terminated={"exitCode": 137, "reason": "Error", "message": ""})
    view = pod_view(pod(phase="Failed", reason="DeadlineExceeded", **ended))
    assert view is not None
    assert view.termination is not None
    assert (view.termination.exit_code, view.termination.reason) == (137, "DeadlineExceeded")
