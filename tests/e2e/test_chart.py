"""The chart on a real node: ready, tested by `helm test`, with no right too many."""

from __future__ import annotations

from tests.plugins.cluster_lines import Release
from tests.plugins.helm import NAMESPACE, RELEASE
from tests.plugins.programs import wait_until
from tests.plugins.stopwatch import timed

ALLOWED = {
    "incrementaltrains.treering.dev",
    "incrementaltrains.treering.dev/status",
    "jobs.batch",
    "pods",
    "configmaps",
    "services",
    "events",
    "networkpolicies.networking.k8s.io",
    "leases.coordination.k8s.io",
    "namespaces",
}
EVERYBODYS = {  # what every service account may: ask about itself
    "selfsubjectreviews.authentication.k8s.io",
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
}


def test_helm_test__passes(release: Release) -> None:
    with timed("helm test"):
        assert "Succeeded" in release.run_helm("test", RELEASE, "--timeout", "120s")


def test_leader__is_one_of_the_pods(release: Release) -> None:
    wait_until("a leader", lambda: release.leader() in release.pods(), 60)


def test_rights__are_what_is_needed_and_no_secret(release: Release) -> None:
    for namespace in (NAMESPACE, "default"):
        shown = release.server.kubectl("auth", "can-i", "--list", "-n", namespace, user=release.service_account)
        granted = {line.split()[0] for line in shown.splitlines()[1:] if line and not line.startswith(("[", " "))}
        assert not any("secret" in resource for resource in granted), shown
        assert granted <= ALLOWED | EVERYBODYS, granted - ALLOWED - EVERYBODYS


def test_network_policy__guards_the_operator(release: Release) -> None:
    names = release.server.kubectl("get", "networkpolicies", "-n", NAMESPACE, "-o", "name")
    assert f"networkpolicy.networking.k8s.io/{RELEASE}" in names
