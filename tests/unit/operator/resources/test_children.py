from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.operator.resources.cases import JOB_UID, LINE_UID, SETTINGS, build, line
from treering_api import BadSpecError, LookPlan, RollbackPlan, RoundPlan
from treering_operator.resources.children import Children, children


def compute(**fields: Any) -> dict[str, Any]:
    return {"compute": fields}


def container(built: Children) -> dict[str, Any]:
    (only,) = built.job["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_plan_map__gives_the_pod_back_its_plan() -> None:
    built = build(line({}))
    plan = RoundPlan.model_validate_json(built.plan_map(JOB_UID)["data"]["plan.json"])
    assert (plan.line, plan.round, plan.work_digest()) == ("cards", 1, built.work.digest)


@pytest.mark.parametrize(
    ("kind", "plan_type"), [("rollback", RollbackPlan), ("discovery", LookPlan)], ids=["rollback", "discovery"]
)
def test_plan_map__of_small_work(kind: str, plan_type: type[RollbackPlan] | type[LookPlan]) -> None:
    built = build(line({}), kind)
    assert plan_type.model_validate_json(built.plan_map(JOB_UID)["data"]["plan.json"]).line == "cards"


def test_children__are_a_snapshot_of_the_plan() -> None:
    resource = line(compute(gpus=1))
    built = build(resource)
    edited = line(compute(gpus=8, image="other:1"))
    plan = RoundPlan.model_validate_json(built.work.plan_json)
    assert children(edited, built.work.name, plan, SETTINGS) == built


def test_children__are_owned_by_line_and_job() -> None:
    built = build(line(compute(gpus=1, nodes=2)))
    assert built.network_policy is not None
    owners = [one["metadata"]["ownerReferences"][0]["uid"] for one in (built.job, built.network_policy)]
    owned = [one["metadata"]["ownerReferences"][0]["uid"] for one in (built.plan_map("u"), built.service("u") or {})]
    assert (owners, owned) == ([LINE_UID, LINE_UID], ["u", "u"])


def test_children__same_input_same_objects() -> None:
    assert build(line({})) == build(line({}))


def test_children__too_big_a_plan_names_the_increments() -> None:
    renames = {f"{number:0100}": f"{number:0>100}x"[1:] for number in range(200)}
    increments = [
        {"name": f"w{number}", "uri": f"s3://deliveries/{number}", "classes": renames} for number in range(40)
    ]
    with pytest.raises(BadSpecError) as caught:
        build(line({"increments": increments}))
    assert caught.value.where == "spec.increments"
    assert "1,048,576" in caught.value.found


def test_network_policy__none_where_the_settings_want_none() -> None:
    assert build(line({}), settings=replace(SETTINGS, network_policy=False)).network_policy is None


def test_network_policy__any_namespace_may_ask_where_no_peers_are_named() -> None:
    policy = build(line({}), settings=replace(SETTINGS, network_peers=())).network_policy
    assert policy is not None
    assert policy["spec"]["ingress"][0]["from"] == [{"namespaceSelector": {}}]


@pytest.mark.parametrize(
    ("endpoint", "ports"),
    [
        pytest.param("http://minio:9000", [443, 9000], id="own-port"),
        pytest.param("http://minio", [80, 443], id="http"),
        pytest.param("https://minio/", [443], id="https"),
        pytest.param("http://[::1]:9001", [443, 9001], id="ipv6"),
    ],
)
def test_network_policy__reaches_the_endpoint(endpoint: str, ports: list[int]) -> None:
    policy = build(line({"store": {"uri": "s3://lines/cards", "endpoint": endpoint}})).network_policy
    assert policy is not None
    assert [port["port"] for port in policy["spec"]["egress"][1]["ports"]] == ports


@pytest.mark.parametrize("endpoint", ["http://[", "http://minio:99999", "http://minio:port"])
def test_network_policy__an_endpoint_without_address_is_refused(endpoint: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        build(line({"store": {"uri": "s3://lines/cards", "endpoint": endpoint}}))
    assert caught.value.where == "spec.store.endpoint"


def test_job__retries_count_for_every_node() -> None:
    built = build(line({**compute(gpus=1, nodes=3), "retries": 2}))
    assert (built.job["spec"]["backoffLimit"], built.job["spec"]["parallelism"]) == (6, 3)


def test_job__small_work_takes_no_gpu_no_queue_and_no_claim() -> None:
    spec = {"queue": "q", **compute(gpus=4, nodes=2, cacheVolume={"claim": "images"})}
    for kind in ("rollback", "discovery"):
        built = build(line(spec), kind)
        text = json.dumps(built.job)
        assert not {"nvidia.com/gpu", "kueue", "persistentVolumeClaim"} & {
            word for word in ("nvidia.com/gpu", "kueue", "persistentVolumeClaim") if word in text
        }
        assert (built.job["spec"]["suspend"], built.service(JOB_UID)) == (False, None)
        assert built.job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 3600


def test_pod__gpus_auto_is_none_in_a_cluster() -> None:
    assert container(build(line(compute(gpus="auto"))))["resources"] == {}


def test_pod__devices_are_requested_as_limited() -> None:
    asked = container(build(line(compute(resources={"requests": {"rdma/hca": "2"}}))))["resources"]
    assert asked == {"requests": {"rdma/hca": "2"}, "limits": {"rdma/hca": "2"}}


VOLUME = {"name": "data", "mountPath": "/data", "claim": "data"}


def resources(**parts: dict[str, str]) -> dict[str, Any]:
    return {"resources": parts}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "env-home": ({"env": [{"name": "HOME", "value": "/"}]}, "env[0].name"),
    "env-own": ({"env": [{"name": "A", "value": "/"}, {"name": "TREERING_NODES", "value": "2"}]}, "env[1].name"),
    "volume-name": ({"volumes": [VOLUME | {"name": "treering-tmp"}]}, "volumes[0].name"),
    "volume-at-ours": ({"volumes": [VOLUME | {"mountPath": "/tmp"}]}, "volumes[0].mountPath"),
    "volume-above-ours": ({"volumes": [VOLUME | {"mountPath": "/etc"}]}, "volumes[0].mountPath"),
    "volume-in-ours": ({"volumes": [VOLUME | {"mountPath": "/dev/shm/x"}]}, "volumes[0].mountPath"),
    "volume-roundabout": ({"volumes": [VOLUME | {"mountPath": "//data/../tmp/"}]}, "volumes[0].mountPath"),
    "volume-at-root": ({"volumes": [VOLUME | {"mountPath": "/a/.."}]}, "volumes[0].mountPath"),
    "volume-twice": ({"volumes": [VOLUME, VOLUME | {"name": "b", "mountPath": "/data/"}]}, "volumes[1].mountPath"),
    "gpu-without-domain": ({"gpus": 1, "gpuResource": "gpu"}, "gpuResource"),
    "gpu-no-name": ({"gpus": 1, "gpuResource": "nvidia.com/-gpu"}, "gpuResource"),
    "gpu-twice": (resources(limits={"nvidia.com/gpu": "2"}) | {"gpus": 1}, "resources.limits.nvidia.com/gpu"),
    "unknown-resource": (resources(requests={"disk": "1Gi"}), "resources.requests.disk"),
    "above-limit": (resources(requests={"cpu": "2"}, limits={"cpu": "1500m"}), "resources.requests.cpu"),
    "device-unequal": (resources(requests={"rdma/hca": "1"}, limits={"rdma/hca": "2"}), "resources.requests.rdma/hca"),
    "half-a-device": (resources(limits={"rdma/hca": "0.5"}), "resources.limits.rdma/hca"),
    "selector-key": ({"nodeSelector": {"a//b": "c"}}, "nodeSelector.a//b"),
    "selector-value": ({"nodeSelector": {"a": "c d"}}, "nodeSelector.a"),
    "toleration-without-key": ({"tolerations": [{"operator": "Equal"}]}, "tolerations[0].operator"),
    "toleration-value": ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "tolerations[0].value"),
    "toleration-time": ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, "tolerations[0].tolerationSeconds"),
}


@pytest.mark.parametrize(("fields", "where"), REFUSED.values(), ids=list(REFUSED))
def test_children__what_kubernetes_would_refuse_is_refused_by_its_path(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        build(line({"compute": fields}))
    assert caught.value.where == f"spec.compute.{where}"


def test_volumes__a_place_beside_ours_is_free() -> None:
    built = build(line({"compute": {"volumes": [VOLUME | {"mountPath": "/tmpdata"}]}}))
    assert container(built)["volumeMounts"][-1]["mountPath"] == "/tmpdata"
