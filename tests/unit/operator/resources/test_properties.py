from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.plugins.random_specs import block_values
from tests.unit.operator.resources.cases import JOB_UID, build, line
from tests.unit.operator.resources.restricted import violations
from treering_api import BadSpecError
from treering_operator.resources.children import Children

LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
KINDS = st.sampled_from(("round", "rollback", "discovery"))
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True, alphabet="abz019-")
DURATIONS = st.sampled_from((None, "1s", "90m", "99999d"))


@st.composite
def built(draw: st.DrawFn) -> Children:
    """The objects of a line whose compute, store and times are any that a user may write; refusals are left out."""
    spec: dict[str, Any] = {"compute": draw(block_values("compute")), "store": draw(block_values("store"))}
    times = {"deadline": draw(DURATIONS), "ttl": draw(DURATIONS), "queue": draw(st.sampled_from((None, "q.1")))}
    spec |= {name: value for name, value in times.items() if value is not None}
    spec["retries"] = draw(st.integers(0, 100))
    try:
        return build(line(spec, draw(NAMES)), draw(KINDS))
    except BadSpecError as refused:
        assert refused.where.startswith("spec."), refused
        assume(False)
        raise


def objects(children: Children) -> Iterator[dict[str, Any]]:
    made = (children.job, children.network_policy, children.plan_map(JOB_UID), children.service(JOB_UID))
    return (one for one in made if one is not None)


def pod_spec(children: Children) -> dict[str, Any]:
    spec: dict[str, Any] = children.job["spec"]["template"]["spec"]
    return spec


ANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@ANY
@given(built())
def test_pod__passes_the_restricted_profile(children: Children) -> None:
    assert violations(pod_spec(children)) == []


@ANY
@given(built())
def test_pod__has_no_token_and_writes_no_root(children: Children) -> None:
    spec = pod_spec(children)
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@ANY
@given(built())
def test_names__are_valid_and_short(children: Children) -> None:
    for one in objects(children):
        name = one["metadata"]["name"]
        pattern = SERVICE_NAME if one["kind"] == "Service" else DNS_LABEL
        assert len(name) <= 63
        assert pattern.fullmatch(name), one["kind"]
    last = f"{children.job['metadata']['name']}-{children.job['spec']['completions'] - 1}"
    assert len(last) <= 63, "an Indexed Job's pods have this as their host name"


@ANY
@given(built())
def test_labels__are_valid_and_lead_back_to_the_line(children: Children) -> None:
    for one in [*objects(children), children.job["spec"]["template"]]:
        labels = one["metadata"]["labels"]
        assert labels["treering.dev/line"] == children.work.line
        for key, value in labels.items():
            assert LABEL_NAME.fullmatch(key.rpartition("/")[2])
            assert len(value) <= 63
            assert not value or LABEL_NAME.fullmatch(value)


@ANY
@given(built())
def test_pod__every_mount_has_its_volume_and_a_place_of_its_own(children: Children) -> None:
    spec = pod_spec(children)
    (container,) = spec["containers"]
    names = [volume["name"] for volume in spec["volumes"]]
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert len(set(names)) == len(names)
    assert len(set(places)) == len(places)
    assert {mount["name"] for mount in container["volumeMounts"]} == set(names)


@ANY
@given(built())
def test_resources__requests_stay_below_limits(children: Children) -> None:
    (container,) = pod_spec(children)["containers"]
    limits, requests = (container["resources"].get(part, {}) for part in ("limits", "requests"))
    devices = {name for name in {*limits, *requests} if "/" in name and "kubernetes.io" not in name}
    assert {name: requests.get(name, limits.get(name)) for name in devices} == {
        name: limits.get(name) for name in devices
    }


@ANY
@given(built())
def test_network_policy__opens_no_door_but_progress(children: Children) -> None:
    policy = children.network_policy
    assert policy is not None
    strangers, own = policy["spec"]["ingress"]
    assert [port["port"] for port in strangers["ports"]] == [9464]
    assert own["from"] == [{"podSelector": {"matchLabels": {"treering.dev/line": children.work.line}}}]
    assert all(rule.get("ports") or rule.get("to") for rule in policy["spec"]["egress"])
