"""Last of all: what is left when the chart goes."""

from __future__ import annotations

from tests.plugins.cluster_lines import Team
from tests.plugins.helm import NAMESPACE, RELEASE


def test_uninstall__keeps_crd_and_lines(team: Team) -> None:
    server = team.release.server
    line = team.plant("birch", suspend=True)
    team.release.run_helm("uninstall", RELEASE, "--wait", "--timeout", "120s")
    assert "incrementaltrains.treering.dev" in server.kubectl("get", "crds", "-o", "name")
    assert server.request("GET", line.path)["spec"]["suspend"] is True
    assert server.kubectl("get", "deployments,roles,rolebindings", "-n", NAMESPACE, "-o", "name") == ""
    for kind in ("clusterroles", "clusterrolebindings"):
        left = server.kubectl("get", kind, "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name")
        assert left == "", left
