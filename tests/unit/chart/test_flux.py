"""Flux's manifests: health over the same lines as Argo's check, and a chart and values that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from charts.generate import ROOT
from tests.plugins.argocd import KIND, Object
from tests.plugins.flux import documents, flux_health
from tests.plugins.helm import Helm

HEALTH = yaml.safe_load((KIND / "health_test.yaml").read_text())["tests"]
SAME = {"Healthy": "Current", "Suspended": "Current", "Degraded": "Failed", "Progressing": "InProgress"}


@pytest.mark.parametrize("test", HEALTH, ids=lambda test: Path(test["inputPath"]).stem)
def test_health__agrees_with_argos(test: Object) -> None:
    resource = yaml.safe_load((KIND / test["inputPath"]).read_text())
    expected = SAME[test["healthStatus"]["status"]] if "status" in resource else "Unknown"
    assert flux_health(resource) == expected


def test_helm_release__names_the_chart_and_values_that_exist(helm: Helm) -> None:
    (release,) = documents("operator.yaml", "HelmRelease")
    assert (ROOT / release["spec"]["chart"]["spec"]["chart"] / "Chart.yaml").is_file()
    assert helm.render(release["spec"]["values"])
    (source,) = documents("operator.yaml", "GitRepository")
    assert release["spec"]["chart"]["spec"]["sourceRef"]["name"] == source["metadata"]["name"]
