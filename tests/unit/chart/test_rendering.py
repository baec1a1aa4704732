from __future__ import annotations

import dataclasses
import json

import pytest

from tests.plugins.helm import CHART, EVERYTHING, NAMESPACE, Helm, Object, of_kind
from treering_operator import __main__ as program
from treering_operator.settings import Settings

VALUES: dict[str, Object] = {
    "default": {},
    "everything": EVERYTHING,
    "namespaced": {"namespaces": ["team-a", "team-b"], "podMonitor": {"enabled": True}},
    "one-replica": {"replicas": 1, "leaderElection": {"enabled": False}},
    "bare": {
        "crds": {"enabled": False},
        "rbac": {"create": False},
        "serviceAccount": {"create": False, "name": "mine"},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "tests": {"enabled": False},
        "topologySpreadConstraints": [],
    },
    "placed": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "control", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "vision"},
        "podAnnotations": {"note": "yes"},
        "commonLabels": {"cost": "42"},
        "image": {"pullSecrets": [{"name": "registry"}], "digest": "sha256:" + "0" * 64},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
        "trainer": {"networkPolicy": {"peers": {"a": "b"}, "storePorts": [443, 9000]}},
        "serviceAccount": {"annotations": {"a": "b"}},
        "service": {"annotations": {"a": "b"}},
        "fullnameOverride": "other",
    },
}


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_lint__is_strict(helm: Helm, values: Object) -> None:
    done = helm.run("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_objects__have_names_namespaces_and_labels_once(helm: Helm, values: Object) -> None:
    objects = helm.render(values)
    keys = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(set(keys)) == len(keys)
    for one in objects:
        clusterwide = one["kind"] in ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
        assert clusterwide != ("namespace" in one["metadata"]), one["metadata"]["name"]
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "treering"


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_selectors__find_the_operators_pods_and_no_others(helm: Helm, values: Object) -> None:
    objects = helm.render(values)
    (deployment,) = of_kind(objects, "Deployment")
    operator = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [deployment["spec"]["selector"]["matchLabels"], of_kind(objects, "Service")[0]["spec"]["selector"]]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(objects, "PodDisruptionBudget")]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of_kind(objects, "NetworkPolicy")]
    spread = deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", [])
    selectors += [one["labelSelector"]["matchLabels"] for one in spread]
    tests = [pod["metadata"]["labels"] for pod in of_kind(objects, "Pod")]
    for selector in selectors:
        assert selector.items() <= operator.items()
        assert not [labels for labels in tests if selector.items() <= labels.items()]


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_pods__are_restricted(helm: Helm, values: Object) -> None:
    objects = helm.render(values)
    pods = [of_kind(objects, "Deployment")[0]["spec"]["template"], *of_kind(objects, "Pod")]
    for pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {tuple(volume)[1] for volume in spec["volumes"]} <= {"emptyDir", "configMap"}


def test_flags__say_every_setting(helm: Helm) -> None:
    settings = parsed(helm, VALUES["placed"])
    assert settings.trainer_image == "treering-trainer:0.1.0"
    assert settings.lease_namespace == NAMESPACE
    assert settings.lease_name == "other"
    assert settings.identity == "$(POD_NAME)"
    assert settings.network_peers == (("a", "b"),)
    assert settings.store_ports == (443, 9000)
    assert settings.leader_election


def test_flags__of_several_namespaces(helm: Helm) -> None:
    assert parsed(helm, VALUES["namespaced"]).namespaces == ("team-a", "team-b")


def test_flags__of_a_single_replica(helm: Helm) -> None:
    values = VALUES["one-replica"] | {"trainer": {"networkPolicy": {"enabled": False}}, "operator": {"port": 9000}}
    settings = parsed(helm, values)
    assert not settings.leader_election
    assert not settings.network_policy
    assert settings.listen == "0.0.0.0:9000"


def test_flags__defaults_are_the_operators_own(helm: Helm) -> None:
    settings = parsed(helm, {})
    plain = Settings(trainer_image="treering-trainer:0.1.0")
    for name in (
        "namespaces",
        "leader_election",
        "listen",
        "workers",
        "resync_s",
        "progress_interval_s",
        "heartbeat_s",
    ):
        assert getattr(settings, name) == getattr(plain, name), name
    for name in ("network_policy", "network_peers", "store_ports", "image_pull_policy"):
        assert getattr(settings, name) == getattr(plain, name), name


def test_crd__is_kept_and_can_be_left_out(helm: Helm) -> None:
    (crd,) = of_kind(helm.render(), "CustomResourceDefinition")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (crd,) = of_kind(helm.render({"crds": {"keep": False}}), "CustomResourceDefinition")
    assert "annotations" not in crd["metadata"]
    assert not of_kind(helm.render({"crds": {"enabled": False}}), "CustomResourceDefinition")


def test_disruption_budget__only_where_a_node_can_still_be_drained(helm: Helm) -> None:
    assert of_kind(helm.render({"replicas": 2}), "PodDisruptionBudget")
    assert not of_kind(helm.render({"replicas": 1}), "PodDisruptionBudget")


def test_monitors__lines_keep_their_namespace_and_ended_pods_are_left_out(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    (service,), (pod,) = of_kind(objects, "ServiceMonitor"), of_kind(objects, "PodMonitor")
    assert service["spec"]["endpoints"][0]["honorLabels"] is True
    assert pod["spec"]["namespaceSelector"] == {"any": True}
    (endpoint,) = pod["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    phase, index = endpoint["relabelings"]
    assert (phase["sourceLabels"], phase["action"]) == (["__meta_kubernetes_pod_phase"], "drop")
    assert "Running" not in phase["regex"].split("|")
    assert {"Succeeded", "Failed"} <= set(phase["regex"].split("|"))
    assert index["action"] == "keep"


def test_pod_monitor__of_some_namespaces(helm: Helm) -> None:
    (monitor,) = of_kind(helm.render(VALUES["namespaced"]), "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def test_dashboards__are_labelled_and_hold_the_files(helm: Helm) -> None:
    maps = of_kind(helm.render(EVERYTHING), "ConfigMap", "fleet") + of_kind(
        helm.render(EVERYTHING), "ConfigMap", "line"
    )
    assert len(maps) == 2
    for one in maps:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((name, text),) = one["data"].items()
        file = CHART / "dashboards" / name.removeprefix("treering-")
        assert json.loads(text) == json.loads(file.read_text())


def test_alerts__can_be_left_out_and_labelled(helm: Helm) -> None:
    rule = {"enabled": True, "disabled": ["TreeringQueueDeep"], "alertLabels": {"team": "vision"}, "runbookUrl": "x"}
    (found,) = of_kind(helm.render({"prometheusRule": rule}), "PrometheusRule")
    alerts = [alert for group in found["spec"]["groups"] for alert in group["rules"]]
    assert "TreeringQueueDeep" not in [alert["alert"] for alert in alerts]
    assert {alert["labels"]["team"] for alert in alerts} == {"vision"}
    assert all(alert["annotations"]["runbook_url"] == f"x#{alert['alert'].lower()}" for alert in alerts)


def test_alerts__each_has_its_runbook(helm: Helm) -> None:
    (found,) = of_kind(helm.render(EVERYTHING), "PrometheusRule")
    page = (CHART.parents[1] / "docs" / "kubernetes" / "alerts.md").read_text()
    names = [alert["alert"] for group in found["spec"]["groups"] for alert in group["rules"]]
    assert [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")] == names


def parsed(helm: Helm, values: Object) -> Settings:
    """The operator's settings, read by its own parser from the flags that the chart gives it."""
    (deployment,) = of_kind(helm.render(values), "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    given = vars(program._parser().parse_args(arguments))
    return Settings(**{field.name: given[field.name] for field in dataclasses.fields(Settings)})
