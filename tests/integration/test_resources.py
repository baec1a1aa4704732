"""The golden objects on a real API server: all are taken as they are, all pods are let into a restricted namespace.

PodSecurity only warns about Jobs' templates, so a pod is made from each of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugins.api_server import ApiServer, Refusal
from tests.plugins.programs import wait_until
from tests.unit.operator.resources.cases import SETTINGS, build, line
from treering_api import Status
from treering_operator.actions import Notice
from treering_operator.resources.event import event
from treering_operator.resources.status import status_body

FOLDER = Path(__file__).parents[1] / "golden" / "operator"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/api/v1/namespaces/{}/events",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "IncrementalTrain": "/apis/treering.dev/v1alpha1/namespaces/{}/incrementaltrains",
}
STRICT = "fieldValidation=Strict"
TIMEOUT_S = 60


def golden(name: str, namespace: str) -> list[dict[str, Any]]:
    objects = list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))
    return [one | {"metadata": one["metadata"] | {"namespace": namespace}} for one in objects]


def create(api_server: ApiServer, one: dict[str, Any], query: str = STRICT) -> dict[str, Any]:
    path = PATHS[one["kind"]].format(one["metadata"]["namespace"])
    made: dict[str, Any] = api_server.request("POST", f"{path}?{query}", one)
    return made


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    template = copy.deepcopy(job["spec"]["template"])
    metadata = template["metadata"] | {"name": job["metadata"]["name"], "namespace": job["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.fixture
def prepared(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """A namespace with the account and classes that the golden cases name."""
    account = {"metadata": {"name": "cards-trainer"}}
    api_server.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    classes: dict[str, dict[str, Any]] = {
        "/apis/scheduling.k8s.io/v1/priorityclasses": {"metadata": {"name": "training-low"}, "value": -10},
        "/apis/node.k8s.io/v1/runtimeclasses": {"metadata": {"name": "nvidia"}, "handler": "nvidia"},
    }
    for path, body in classes.items():
        api_server.request("POST", path, body)
    yield namespace
    for path, body in classes.items():
        api_server.request("DELETE", f"{path}/{body['metadata']['name']}")


@pytest.mark.parametrize("name", CASES)
def test_golden__the_api_server_takes_every_object(api_server: ApiServer, prepared: str, name: str) -> None:
    objects = golden(name, prepared)
    kept = [create(api_server, one, f"dryRun=All&{STRICT}") for one in objects]
    assert [one["kind"] for one in kept] == [one["kind"] for one in objects]


@pytest.mark.parametrize("name", CASES)
def test_golden__pods_are_let_into_a_restricted_namespace(api_server: ApiServer, prepared: str, name: str) -> None:
    (job,) = (one for one in golden(name, prepared) if one["kind"] == "Job")
    made = create(api_server, pod_of(job))
    mounted = [mount["name"] for mount in made["spec"]["containers"][0]["volumeMounts"]]
    assert not [name for name in mounted if name.startswith("kube-api-access")], "no token of a service account"


def test_restricted__a_pod_without_its_security_context_is_refused(api_server: ApiServer, prepared: str) -> None:
    (job,) = (one for one in golden("round", prepared) if one["kind"] == "Job")
    pod = pod_of(job)
    del pod["spec"]["containers"][0]["securityContext"]
    with pytest.raises(Refusal, match="violates PodSecurity"):
        create(api_server, pod)


def test_children__the_job_controller_makes_the_pod_and_all_goes_with_the_line(
    api_server: ApiServer, namespace: str
) -> None:
    wanted = line({"compute": {"gpus": 1, "nodes": 2}})
    del wanted["metadata"]["uid"], wanted["metadata"]["resourceVersion"], wanted["metadata"]["generation"]
    wanted["metadata"]["namespace"] = namespace
    built = build(create(api_server, wanted))
    assert built.network_policy is not None
    create(api_server, built.network_policy)
    uid = create(api_server, built.job)["metadata"]["uid"]
    service = built.service(uid)
    assert service is not None
    create(api_server, service)
    create(api_server, built.plan_map(uid))
    kinds = ("Job", "Pod", "ConfigMap", "Service", "NetworkPolicy")
    wait_until("two pods", lambda: len(ours(api_server, namespace, "Pod")) == 2, TIMEOUT_S)
    assert all(ours(api_server, namespace, kind) for kind in kinds)
    api_server.request("DELETE", f"{PATHS['IncrementalTrain'].format(namespace)}/cards")
    wait_until("all is gone", lambda: not any(ours(api_server, namespace, kind) for kind in kinds), TIMEOUT_S)


def ours(api_server: ApiServer, namespace: str, kind: str) -> list[dict[str, Any]]:
    answer = api_server.request("GET", f"{PATHS[kind].format(namespace)}?labelSelector=treering.dev/line=cards")
    items: list[dict[str, Any]] = answer["items"]
    return items


def test_event__told_twice_is_there_already(api_server: ApiServer, namespace: str) -> None:
    resource = line({})
    resource["metadata"]["namespace"] = namespace
    notice = Notice(warning=True, reason="RoundRejected", message="ü" * 2000, key="rejected/1")
    told = event(resource, notice, datetime.now(UTC), "operator-1")
    create(api_server, told)
    with pytest.raises(Refusal) as caught:
        create(api_server, told)
    assert caught.value.code == 409


def test_status__is_applied_once_and_refused_when_the_line_changed(api_server: ApiServer, namespace: str) -> None:
    wanted = line({})
    wanted["metadata"] = {"name": "cards", "namespace": namespace}
    seen = create(api_server, wanted)
    path = f"{PATHS['IncrementalTrain'].format(namespace)}/cards/status?fieldManager=treering-operator&force=true"
    status = Status(observed_generation=1, state="Training", increment="2026-w47", job=SETTINGS.lease_name)
    now = api_server.request("PATCH", path, status_body(seen, status), patch="apply")
    assert now["status"]["state"] == "Training"
    with pytest.raises(Refusal) as caught:
        api_server.request("PATCH", path, status_body(seen, Status(state="Stalled")), patch="apply")
    assert caught.value.code == 409
    emptied = api_server.request("PATCH", path, status_body(now, Status(state="UpToDate")), patch="apply")
    assert (emptied["status"]["state"], emptied["status"]["job"]) == ("UpToDate", "")
