"""Flux's health expressions, evaluated as its controller does, over the same lines as Argo's health check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from charts.generate import ROOT

KIND = ROOT / "deploy" / "argocd" / "resource_customizations" / "treering.dev" / "IncrementalTrain"
HEALTH = yaml.safe_load((KIND / "health_test.yaml").read_text())["tests"]
FLUX = ROOT / "deploy" / "flux"
SAME = {"Healthy": "Current", "Suspended": "Current", "Degraded": "Failed", "Progressing": "InProgress"}
Object = dict[str, Any]


def documents(name: str, kind: str) -> list[Object]:
    return [one for one in yaml.safe_load_all((FLUX / name).read_text()) if one["kind"] == kind]


def health(resource: Object) -> str:
    """As Flux finds it: the generation first, then inProgress, failed, current; none of them: in progress."""
    (check,) = documents("lines.yaml", "Kustomization")[0]["spec"]["healthCheckExprs"]
    assert (check["apiVersion"], check["kind"]) == (resource["apiVersion"], resource["kind"])
    status = resource.get("status", {})
    if "deletionTimestamp" in resource["metadata"]:
        return "InProgress"
    if status.get("observedGeneration", resource["metadata"]["generation"]) != resource["metadata"]["generation"]:
        return "InProgress"
    context = cel.Context({"status": status, "metadata": resource["metadata"], "spec": resource["spec"]})
    for name, result in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        if cel.compile(check[name]).execute(context):
            return result
    return "InProgress"


@pytest.mark.parametrize("test", HEALTH, ids=lambda test: Path(test["inputPath"]).stem)
def test_health__agrees_with_argos(test: Object) -> None:
    resource = yaml.safe_load((KIND / test["inputPath"]).read_text())
    assert health(resource) == SAME[test["healthStatus"]["status"]]


def test_helm_release__names_the_chart_and_values_that_exist(helm: Any) -> None:
    (release,) = documents("operator.yaml", "HelmRelease")
    assert (ROOT / release["spec"]["chart"]["spec"]["chart"] / "Chart.yaml").is_file()
    assert helm.render(release["spec"]["values"])
    (source,) = documents("operator.yaml", "GitRepository")
    assert release["spec"]["chart"]["spec"]["sourceRef"]["name"] == source["metadata"]["name"]
