"""The chart on a real API server: what it renders is taken, its rights are the operator's, Helm keeps the CRD."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.plugins.api_server import ApiServer, Refusal
from tests.plugins.helm import CHART, Helm, Object, of_kind
from tests.plugins.operators import Starter
from tests.plugins.programs import ROOT, wait_until
from treering_operator.cluster.permissions import REQUIRED

EXAMPLES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))
LINE = {
    "apiVersion": "treering.dev/v1alpha1",
    "kind": "IncrementalTrain",
    "metadata": {"name": "cards"},
    "spec": {
        "model": {"base": "s3://models/yolov8n.pt"},
        "store": {"uri": "s3://lines/cards"},
        "increments": [{"name": "one", "uri": "s3://deliveries/one"}],
    },
}
VALUES: dict[str, Object] = {
    "default": {},
    "namespaced": {"namespaces": ["default"], "replicas": 1},
    "placed": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "control", "operator": "Exists"}],
        "priorityClassName": "system-cluster-critical",
        "commonLabels": {"cost": "42"},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
        "dashboards": {"enabled": True},
    },
}


def rendered(helm: Helm, namespace: str, values: Object) -> str:
    done = helm.run("template", namespace, str(CHART), "--namespace", namespace, values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_objects__are_taken_by_the_api_server(
    helm: Helm, api_server: ApiServer, namespace: str, values: Object
) -> None:
    api_server.kubectl("apply", "-f", "-", input=service_accounts(helm, namespace, values))
    said = api_server.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"),
        input=rendered(helm, namespace, values),
    )
    assert said.count("serverside-applied (server dry run)") == len(said.splitlines()) > 12


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example__is_taken_by_the_api_server(api_server: ApiServer, namespace: str, path: Path) -> None:
    objects = [one for one in yaml.safe_load_all(path.read_text()) if one]
    for one in objects:
        one["metadata"]["namespace"] = namespace
    text = yaml.safe_dump_all(objects)
    said = api_server.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=text)
    assert len(said.splitlines()) == len(objects)


@pytest.mark.parametrize("namespaced", [False, True], ids=["everywhere", "namespaced"])
def test_rights__are_exactly_what_the_operator_needs(
    helm: Helm, api_server: ApiServer, namespace: str, namespaced: bool
) -> None:
    values = {"namespaces": [namespace]} if namespaced else {}
    install_roles(helm, api_server, namespace, values)
    account = f"system:serviceaccount:{namespace}:{operator_account(helm, namespace, values)}"
    granted = can_do(api_server, account, namespace) - can_do(api_server, "system:serviceaccount:x:nobody", namespace)
    needed = {
        (f"{one.resource}.{one.group}".replace(f"/status.{one.group}", f".{one.group}/status").rstrip("."), verb)
        for one in REQUIRED
        for verb in one.verbs
    }
    assert granted == needed
    assert not [name for name, _ in granted if "secret" in name or "*" in name]
    elsewhere = can_do(api_server, account, "default") - can_do(api_server, "system:serviceaccount:x:nobody", "default")
    leases = {(name, verb) for name, verb in needed if name.startswith("leases")}
    assert elsewhere == (set() if namespaced else needed - leases)


def test_rights__suffice_for_a_rounds_beginning(
    helm: Helm, api_server: ApiServer, namespace: str, operators: Starter
) -> None:
    values = {"namespaces": [namespace]}
    install_roles(helm, api_server, namespace, values)
    api_server.kubectl("apply", "-f", "-", input=service_accounts(helm, namespace, values))
    account = operator_account(helm, namespace, values)
    operator = operators(user=f"system:serviceaccount:{namespace}:{account}")
    api_server.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(LINE))

    def is_there(kind: str) -> Callable[[], bool]:
        return lambda: bool(json.loads(api_server.kubectl("-n", namespace, "get", kind, "-o", "json"))["items"])

    for kind in ("jobs", "networkpolicies", "events", "leases"):
        wait_until(f"{kind} of the line", is_there(kind), 30)
    wait_until("the plan", lambda: "cards-r1" in api_server.kubectl("-n", namespace, "get", "configmaps"), 30)
    wait_until("a status", lambda: "RoundS" in api_server.kubectl("-n", namespace, "get", "events", "-o", "json"), 30)
    state = api_server.kubectl("-n", namespace, "get", "itr", "cards", "-o", "jsonpath={.status.state}")
    assert state
    assert "orbidden" not in operator.words()


def test_release__comes_is_upgraded_and_goes_but_the_crd_stays(
    helm: Helm, api_server: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig()))
    release = ("tr-" + namespace, str(CHART), "--namespace", namespace)
    quick: Object = {"dashboards": {"enabled": True}, "namespaces": [namespace]}
    done = helm.run("install", *release, "--take-ownership", "--force-conflicts", values=quick)
    assert done.returncode == 0, done.stderr
    assert "examples/kubernetes/first-line.yaml" in done.stdout
    api_server.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(LINE))
    done = helm.run("upgrade", *release, values=quick | {"replicas": 3})
    assert done.returncode == 0, done.stderr
    (deployment,) = json.loads(api_server.kubectl("-n", namespace, "get", "deployments", "-o", "json"))["items"]
    assert deployment["spec"]["replicas"] == 3
    done = helm.run("uninstall", release[0], "--namespace", namespace)
    assert done.returncode == 0, done.stderr
    assert api_server.kubectl("-n", namespace, "get", "itr", "-o", "name") == "incrementaltrain.treering.dev/cards\n"
    labels = ("-l", f"app.kubernetes.io/instance={release[0]}")
    kinds = "deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,configmaps,poddisruptionbudgets"
    assert api_server.kubectl("-n", namespace, "get", kinds, *labels, "-o", "name") == ""
    assert api_server.kubectl("get", "clusterroles,clusterrolebindings", *labels, "-o", "name") == ""


def test_test_pod__may_ask_without_any_right(api_server: ApiServer) -> None:
    kubeconfig = yaml.safe_load(api_server.kubeconfig("nobody").read_text())
    token = kubeconfig["users"][0]["user"]["token"]
    served = api_server.request("GET", "/apis/treering.dev/v1alpha1", token=token)
    assert {"incrementaltrains", "incrementaltrains/status"} <= {one["name"] for one in served["resources"]}
    with pytest.raises(Refusal, match="forbidden"):
        api_server.request("GET", "/apis/treering.dev/v1alpha1/incrementaltrains", token=token)


def install_roles(helm: Helm, api_server: ApiServer, namespace: str, values: Object) -> None:
    objects = [one for one in yaml.safe_load_all(rendered(helm, namespace, values)) if one]
    roles = [
        one for kind in ("ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding") for one in of_kind(objects, kind)
    ]
    api_server.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(roles))


def service_accounts(helm: Helm, namespace: str, values: Object) -> str:
    objects = [one for one in yaml.safe_load_all(rendered(helm, namespace, values)) if one]
    return yaml.safe_dump_all(of_kind(objects, "ServiceAccount"))


def operator_account(helm: Helm, namespace: str, values: Object) -> str:
    objects = [one for one in yaml.safe_load_all(rendered(helm, namespace, values)) if one]
    name: str = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["serviceAccountName"]
    return name


def can_do(api_server: ApiServer, user: str, namespace: str) -> set[tuple[str, str]]:
    """What `kubectl auth can-i --list` shows for a service account: resource and verb."""
    group = "system:serviceaccounts"
    said = api_server.kubectl(
        *("auth", "can-i", "--list", "--no-headers", "-n", namespace, "--as", user),
        *("--as-group", group, "--as-group", "system:authenticated"),
    )
    found = set()
    for line in said.splitlines():
        match = re.fullmatch(r"(\S*)\s+(\[.*?\])\s+(\[.*?\])\s+\[(.*)\]", line)
        assert match, line
        found |= {(match[1] or match[2], verb) for verb in match[4].split()}
    return found
