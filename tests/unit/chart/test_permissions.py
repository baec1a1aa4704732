"""The chart's rights against what the operator says that it needs, and against what nobody may give it."""

from __future__ import annotations

import pytest

from tests.plugins.helm import NAMESPACE, Helm, Object, of_kind
from treering_operator.cluster.permissions import REQUIRED

Rights = dict[tuple[str, str], set[str]]


def rights(roles: list[Object]) -> Rights:
    """Verbs by group and resource."""
    found: Rights = {}
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "resourceNames" not in rule
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def required(*, lease: bool) -> Rights:
    return {(one.group, one.resource): set(one.verbs) for one in REQUIRED if one.lease is lease}


def test_cluster_role__is_what_the_operator_asks_for(helm: Helm) -> None:
    objects = helm.render({"rbac": {"aggregate": False}})
    assert rights(of_kind(objects, "ClusterRole")) == required(lease=False)
    assert rights(of_kind(objects, "Role")) == required(lease=True)


def test_roles__of_some_namespaces_are_the_same_rights_there(helm: Helm) -> None:
    objects = helm.render({"namespaces": ["team-a", "team-b"], "rbac": {"aggregate": False}})
    assert not of_kind(objects, "ClusterRole")
    assert not of_kind(objects, "ClusterRoleBinding")
    for namespace in ("team-a", "team-b"):
        inside = [one for one in of_kind(objects, "Role") if one["metadata"]["namespace"] == namespace]
        assert rights(inside) == required(lease=False)
    assert rights(of_kind(objects, "Role", "leader")) == required(lease=True)
    assert [one["metadata"]["namespace"] for one in of_kind(objects, "Role", "leader")] == [NAMESPACE]


@pytest.mark.parametrize("values", [{}, {"namespaces": ["team-a"]}], ids=["everywhere", "namespaced"])
def test_bindings__are_the_operators_account_alone(helm: Helm, values: Object) -> None:
    objects = helm.render(values)
    bindings = of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding")
    (deployment,) = of_kind(objects, "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert bindings
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
        assert of_kind(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"])


@pytest.mark.parametrize("values", [{}, {"namespaces": ["team-a"]}], ids=["everywhere", "namespaced"])
def test_roles__no_secret_and_no_wildcard(helm: Helm, values: Object) -> None:
    objects = helm.render(values)
    for (group, resource), verbs in rights(of_kind(objects, "Role") + of_kind(objects, "ClusterRole")).items():
        assert "secrets" not in resource
        assert "*" not in {group, resource, *verbs}
        assert not {"escalate", "bind", "impersonate"} & verbs
        assert resource not in ("pods/exec", "serviceaccounts/token", "roles", "clusterroles")


def test_user_roles__add_up_to_kubernetes_own(helm: Helm) -> None:
    roles = of_kind(helm.render(), "ClusterRole")
    lines = ("treering.dev", "incrementaltrains")

    def granted(to: str) -> set[str]:
        label = f"rbac.authorization.k8s.io/aggregate-to-{to}"
        return rights([one for one in roles if one["metadata"]["labels"].get(label) == "true"])[lines]

    reading = {"get", "list", "watch"}
    assert granted("view") == reading
    assert granted("edit") == reading | {"create", "update", "patch", "delete"}
    assert granted("admin") == granted("edit") | {"deletecollection"}
    operator = rights([one for one in roles if "-" not in one["metadata"]["name"]])
    assert operator == required(lease=False), "nothing aggregates into the operator's role"


def test_test_pod__has_no_rights(helm: Helm) -> None:
    objects = helm.render()
    (pod,) = of_kind(objects, "Pod")
    named = {
        subject["name"]
        for binding in of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding")
        for subject in binding["subjects"]
    }
    assert pod["spec"]["serviceAccountName"] not in named
