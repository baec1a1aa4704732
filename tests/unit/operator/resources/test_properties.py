"""What holds for the objects of every spec. Random specs come from the CRD's schema (most are refused, by a path), and
from strategies of what Kubernetes takes, so that every feature meets every other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plugins.random_specs import spec_values
from tests.unit.operator.resources.cases import CASES, JOB_UID, build, line
from tests.unit.operator.resources.restricted import violations
from treering_api import BadSpecError
from treering_operator.resources.children import Children

LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
KINDS = st.sampled_from(("round", "rollback", "discovery"))
NAMES = st.sampled_from(("a", "7", "cards", "x" * 40, "1-" + "y" * 38, "a--b"))
FEATURES = [case.spec for case in CASES.values() if case.kind == "round"]
ANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def composed(draw: st.DrawFn) -> dict[str, Any]:
    """A spec with some of the golden cases' features at once."""
    spec: dict[str, Any] = {}
    for feature in draw(st.lists(st.sampled_from(FEATURES), max_size=6)):
        spec |= {key: {**spec.get(key, {}), **value} if key == "compute" else value for key, value in feature.items()}
    return spec | {"retries": draw(st.integers(0, 100))}


@ANY
@given(composed(), NAMES, KINDS)
def test_children__hold_for_features_together(spec: dict[str, Any], name: str, kind: str) -> None:
    check(build(line(spec, name), kind))


@ANY
@given(spec_values(), KINDS)
def test_children__of_any_spec_hold_or_are_refused_by_a_path(spec: dict[str, Any], kind: str) -> None:
    try:
        built = build(line(spec | {"suspend": False, "rollbackTo": 1} if kind == "rollback" else spec), kind)
    except BadSpecError as refused:
        assert refused.where.startswith("spec."), refused
    except AssertionError as waiting:
        assert "Waiting(" in str(waiting) or "Rollback(" in str(waiting), waiting
    else:
        check(built)


def check(children: Children) -> None:
    check_pod(children.job["spec"]["template"]["spec"])
    check_network_policy(children)
    made = (children.job, children.network_policy, children.plan_map(JOB_UID), children.service(JOB_UID))
    objects = [one for one in made if one is not None]
    for one in objects:
        check_name(one["kind"], one["metadata"]["name"])
    check_name("host of the last pod", f"{children.job['metadata']['name']}-{children.job['spec']['completions'] - 1}")
    for one in [*objects, children.job["spec"]["template"]]:
        check_labels(one["metadata"]["labels"], children.work.line)


def check_pod(spec: dict[str, Any]) -> None:
    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    names = [volume["name"] for volume in spec["volumes"]]
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert (len(set(names)), len(set(places))) == (len(names), len(places))
    assert {mount["name"] for mount in container["volumeMounts"]} == set(names)
    limits, requests = (container["resources"].get(part, {}) for part in ("limits", "requests"))
    assert {name: limits.get(name) for name in devices(requests)} == {
        name: requests[name] for name in devices(requests)
    }


def devices(amounts: dict[str, str]) -> Iterator[str]:
    return (name for name in amounts if "/" in name and "kubernetes.io" not in name)


def check_name(kind: str, name: str) -> None:
    assert len(name) <= 63, kind
    assert (SERVICE_NAME if kind == "Service" else DNS_LABEL).fullmatch(name), kind


def check_labels(labels: dict[str, str], line_name: str) -> None:
    assert labels["treering.dev/line"] == line_name
    for key, value in labels.items():
        assert LABEL_NAME.fullmatch(key.rpartition("/")[2])
        assert len(value) <= 63
        assert not value or LABEL_NAME.fullmatch(value)


def check_network_policy(children: Children) -> None:
    policy = children.network_policy
    assert policy is not None
    strangers, own = policy["spec"]["ingress"]
    assert [port["port"] for port in strangers["ports"]] == [9464]
    assert own["from"] == [{"podSelector": {"matchLabels": {"treering.dev/line": children.work.line}}}]
    assert all(rule.get("ports") or rule.get("to") for rule in policy["spec"]["egress"])
