"""What the API server does with lines before any operator sees them: refusals in our words, columns, explanations."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.plugins.api_server import LINES, ApiServer, Refusal
from treering_api.compute import CacheVolume, EnvironmentVariable, Volume
from treering_api.model import CertificateAuthority, Model
from treering_api.policies import BatchNorm, Distill, Freeze, Policies, Replay, Unfreeze
from treering_api.resource import IncrementalTrain
from treering_api.retrain import Retrain
from treering_api.rules import Ruled
from treering_api.spec import Spec

Object = dict[str, Any]
SETTLED = [{"name": "one", "uri": "s3://deliveries/one"}, {"name": "two", "uri": "s3://deliveries/two"}]
NEXT = {"name": "three", "uri": "s3://deliveries/three"}
IMMUTABLE = IncrementalTrain.rules[0].found


def a_line(name: str = "oak", **spec: object) -> Object:
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {"name": name},
        "spec": {
            "model": {"base": "yolov8n.yaml"},
            "store": {"uri": "s3://lines/oak"},
            "increments": copy.deepcopy(SETTLED),
            **spec,
        },
    }


def path(namespace: str, name: str = "", sub: str = "") -> str:
    return "/".join(part for part in (f"{LINES}/namespaces/{namespace}/incrementaltrains", name, sub) if part)


def refusal(server: ApiServer, namespace: str, line: Object) -> str:
    """What the API server says about a line that it must not take."""
    with pytest.raises(Refusal) as caught:
        server.request("POST", path(namespace), line)
    assert caught.value.code == 422, caught.value
    return str(caught.value)


@pytest.fixture
def settled_line(api_server: ApiServer, namespace: str) -> str:
    """A line whose increments have both been dealt with."""
    api_server.request("POST", path(namespace), a_line())
    status = {"status": {"state": "UpToDate", "settled": SETTLED}}
    api_server.request("PATCH", path(namespace, "oak", "status"), status)
    return "oak"


def test_crd__has_the_longest_lines(api_server: ApiServer, namespace: str) -> None:
    increments = [{"name": f"delivery-{n:04d}", "uri": "s3://deliveries/" + f"{n:0500d}"[-480:]} for n in range(1000)]
    api_server.request("POST", path(namespace), a_line(increments=increments))
    settled = {"status": {"settled": increments}}
    taken = api_server.request("PATCH", path(namespace, "oak", "status"), settled)
    assert len(taken["status"]["settled"]) == 1000


RULES: list[tuple[type[Ruled], Object]] = [
    (Spec, {"increments": []}),
    (Spec, {"evaluation": {"holdouts": [{"name": "old", "uri": SETTLED[0]["uri"]}]}}),
    (EnvironmentVariable, {"compute": {"env": [{"name": "A", "value": "b", "secret": "c"}]}}),
    (Volume, {"compute": {"volumes": [{"name": "a", "mountPath": "/a"}]}}),
    (CacheVolume, {"compute": {"cacheVolume": {"claim": "a", "sizeLimit": "1Gi"}}}),
    (CertificateAuthority, {"store": {"uri": "s3://lines/oak", "certificateAuthority": {"key": "ca.crt"}}}),
    (Model, {"model": {"base": "yolov8n.pt", "classes": ["person"]}}),
    (Freeze, {"policies": {"freeze": {}}}),
    (Replay, {"policies": {"replay": {"ratio": 0}}}),
    (Policies, {"policies": {"memory": "none", "replay": {}}}),
    (BatchNorm, {"policies": {"batchNorm": {"alone": True, "statistics": "frozen"}}}),
    (Distill, {"policies": {"distill": {"published": False}}}),
    (Unfreeze, {"policies": {"unfreeze": {"schedule": "custom"}}}),
    (Retrain, {"retrain": {}}),
]


@pytest.mark.parametrize(("block", "spec"), RULES, ids=lambda value: value.__name__ if isinstance(value, type) else "")
def test_rule__is_refused_in_our_words(api_server: ApiServer, namespace: str, block: type[Ruled], spec: Object) -> None:
    said = refusal(api_server, namespace, a_line(**spec))
    assert any(f"{rule.found}. {rule.mend}" in said for rule in block.rules), said


def test_rules__have_a_case_each() -> None:
    blocks = [block for block, _ in RULES] + [IncrementalTrain]
    written = {rule for block in all_blocks() for rule in block.rules}
    assert {rule for block in blocks for rule in block.rules} == written


def all_blocks(base: type[Ruled] = Ruled) -> list[type[Ruled]]:
    return [block for child in base.__subclasses__() for block in (child, *all_blocks(child))]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"increments": [{"name": "One", "uri": "s3://d/one"}]}, "spec.increments[0].name", id="name"),
        pytest.param({"increments": [{"name": "one", "uri": "ftp://d/one"}]}, "spec.increments[0].uri", id="uri"),
        pytest.param({"increments": [SETTLED[0], SETTLED[0]]}, "spec.increments[1]", id="twice"),
        pytest.param({"model": {"base": "yolov8n.onnx"}}, "spec.model.base", id="weights"),
        pytest.param({"model": {"base": "a.pt", "imageSize": 100}}, "spec.model.imageSize", id="image-size"),
        pytest.param({"training": {"epochs": 0}}, "spec.training.epochs", id="epochs"),
        pytest.param({"retries": 101}, "spec.retries", id="retries"),
        pytest.param({"historyLimit": 51}, "spec.historyLimit", id="history"),
        pytest.param({"deadline": "soon"}, "spec.deadline", id="deadline"),
        pytest.param({"strategy": "clever"}, "spec.strategy", id="strategy"),
        pytest.param({"rollbackTo": 0}, "spec.rollbackTo", id="rollback"),
        pytest.param({"compute": {"gpus": 65}}, "spec.compute.gpus", id="gpus"),
        pytest.param({"compute": {"gpus": "all"}}, "spec.compute.gpus", id="gpus-word"),
        pytest.param({"compute": {"sharedMemory": "a lot"}}, "spec.compute.sharedMemory", id="quantity"),
        pytest.param({"suspend": "yes"}, "spec.suspend", id="kind"),
    ],
)
def test_bounds__are_kept(api_server: ApiServer, namespace: str, spec: Object, field: str) -> None:
    assert field in refusal(api_server, namespace, a_line(**spec))


def test_name__must_leave_room_for_jobs(api_server: ApiServer, namespace: str) -> None:
    assert "metadata.name" in refusal(api_server, namespace, a_line("o" * 41))


def test_unknown_field__is_refused_by_kubectl(api_server: ApiServer, namespace: str) -> None:
    with pytest.raises(Refusal, match=r'unknown field "spec\.incremets"'):
        api_server.kubectl("apply", "-n", namespace, "-f", "-", input=str(a_line(incremets=[])).replace("'", '"'))


@pytest.mark.parametrize(
    "increments",
    [
        pytest.param(SETTLED[:1], id="removed"),
        pytest.param([], id="all-removed"),
        pytest.param([SETTLED[1], SETTLED[0]], id="reordered"),
        pytest.param([NEXT, *SETTLED], id="put-before"),
        pytest.param([SETTLED[0], {**SETTLED[1], "uri": "s3://deliveries/other"}], id="other-uri"),
        pytest.param([SETTLED[0], {**SETTLED[1], "name": "deux"}], id="other-name"),
    ],
)
def test_settled_increments__stand_still(
    api_server: ApiServer, namespace: str, settled_line: str, increments: list[Object]
) -> None:
    found = {"uri": "s3://inbox/all"}
    with pytest.raises(Refusal, match=IMMUTABLE) as caught:
        api_server.request(
            "PATCH", path(namespace, settled_line), {"spec": {"increments": increments, "discover": found}}
        )
    assert caught.value.code == 422
    assert "status.settled" in str(caught.value)


def test_settled_increments__others_can_be_appended_and_edited(
    api_server: ApiServer, namespace: str, settled_line: str
) -> None:
    for following in ([NEXT], [{**NEXT, "uri": "s3://deliveries/3"}], [{**NEXT, "name": "drei"}, NEXT], []):
        edit = {"spec": {"increments": [*SETTLED, *following]}}
        taken = api_server.request("PATCH", path(namespace, settled_line), edit)
        assert taken["spec"]["increments"] == edit["spec"]["increments"]


def test_status__is_written_beside_the_spec(api_server: ApiServer, namespace: str) -> None:
    created = api_server.request("POST", path(namespace), a_line() | {"status": {"state": "Training"}})
    assert "status" not in created
    both = {"spec": {"suspend": True}, "status": {"state": "Training", "round": 1}}
    answer = api_server.request("PATCH", path(namespace, "oak", "status"), both)
    assert (answer["status"]["state"], answer["metadata"]["generation"]) == ("Training", 1)
    assert "suspend" not in answer["spec"]
    ignored = api_server.request("PATCH", path(namespace, "oak"), {"status": {"state": "Failed"}})
    assert ignored["status"]["state"] == "Training"


def test_columns__say_how_a_line_stands(api_server: ApiServer, namespace: str) -> None:
    api_server.request("POST", path(namespace), a_line())
    status = {
        "state": "Training",
        "round": 2,
        "increment": "two",
        "progress": {"stage": "train", "percent": 41, "eta": "6m"},
        "map50": 0.8125,
        "forgetting": -0.01,
        "gpuHours": "1.25",
        "outstanding": 1,
        "strategy": "incremental",
        "message": "round 2 learns two",
    }
    api_server.request("PATCH", path(namespace, "oak", "status"), {"status": status})
    narrow, wide = (table(api_server.kubectl("get", "itr", "-n", namespace, *more)) for more in ((), ("-o", "wide")))
    assert narrow.pop("AGE")
    assert narrow == {
        "NAME": "oak", "STATE": "Training", "ROUND": "2", "INCREMENT": "two", "PROGRESS": "41", "ETA": "6m",
        "MAP50": "0.8125", "FORGETTING": "-0.01", "GPU-HOURS": "1.25",
    }  # fmt: skip
    assert {name: wide[name] for name in ("OUTSTANDING", "STRATEGY", "MESSAGE")} == {
        "OUTSTANDING": "1", "STRATEGY": "incremental", "MESSAGE": "round 2 learns two",
    }  # fmt: skip


def table(shown: str) -> dict[str, str]:
    """A table of one row, by the places of its headings."""
    heads, row = shown.splitlines()
    names = heads.split()
    starts = [heads.index(name) for name in names]
    ends = [*starts[1:], len(row)]
    return {name: row[start:end].strip() for name, start, end in zip(names, starts, ends, strict=True)}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("itr", "What the user says"),
        ("itr.spec.increments", "append new ones at the end"),
        ("itr.spec.compute.gpus", "GPUs of a round on each node"),
        ("itr.status.conditions", "Ready, Reconciling, Stalled"),
    ],
)
def test_explain__tells_every_field(api_server: ApiServer, field: str, words: str) -> None:
    shown = " ".join(api_server.kubectl("explain", field).split())
    assert words in shown, shown


def test_category__lists_lines(api_server: ApiServer, namespace: str) -> None:
    api_server.request("POST", path(namespace), a_line())
    assert "incrementaltrain.treering.dev/oak" in api_server.kubectl("get", "treering", "-n", namespace, "-o", "name")
