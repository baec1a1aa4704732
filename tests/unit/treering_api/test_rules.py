"""Each rule in Python and as CEL, evaluated by a CEL library: both must say the same about the same data."""

from __future__ import annotations

from typing import Any

import cel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from treering_api.compute import CacheVolume, EnvironmentVariable, Volume
from treering_api.crd import openapi_schema
from treering_api.fields import Block
from treering_api.model import CertificateAuthority, Model
from treering_api.policies import BatchNorm, Distill, Freeze, Policies, Replay, Unfreeze
from treering_api.resource import IncrementalTrain
from treering_api.retrain import Retrain
from treering_api.rules import Rule
from treering_api.spec import Spec

RULED: tuple[type[Block], ...] = (
    IncrementalTrain, Spec, Policies, BatchNorm, Distill, Freeze, Replay, Retrain, Unfreeze,
    CertificateAuthority, EnvironmentVariable, Volume, CacheVolume, Model,
)  # fmt: skip
RULES = [(block, rule) for block in RULED for rule in block.rules]
BY_ID = {f"{block.__name__}-{rule.found}".replace(" ", "-"): (block, rule) for block, rule in RULES}


def says_cel(rule: Rule, block_type: type[Block], data: dict[str, Any]) -> bool:
    context = cel.Context({"self": data}, {"slice": lambda items, start, end: items[start:end]})
    answer: bool = cel.compile(rule.validation(block_type)["rule"]).execute(context)
    return answer


def says_python(rule: Rule, block_type: type[Block], data: dict[str, Any]) -> bool:
    """The rule over the models, built without checking any rule."""
    return rule.expression.holds(build(block_type, data))


def build(block_type: type[Block], data: dict[str, Any]) -> Block:
    unruled: type[Block] = type(f"Unruled{block_type.__name__}", (block_type,), {"rules": ()})
    return unruled.model_validate(data)


CASES: list[tuple[type[Block], int, dict[str, Any], bool]] = [
    (Freeze, 0, {}, False),
    (Freeze, 0, {"backbone": False}, False),
    (Freeze, 0, {"names": []}, False),
    (Freeze, 0, {"backbone": True}, True),
    (Freeze, 0, {"names": ["cv3"]}, True),
    (Freeze, 0, {"layers": 3, "backbone": True}, True),
    (Replay, 0, {}, True),
    (Replay, 0, {"ratio": 0}, False),
    (Replay, 0, {"ratio": 0.0, "maxImages": 9}, True),
    (Replay, 0, {"ratio": 0, "maxBytes": 5000}, True),
    (Replay, 0, {"ratio": 0, "enabled": False}, True),
    (Distill, 0, {}, True),
    (Distill, 0, {"published": False}, False),
    (Distill, 0, {"published": False, "enabled": False}, True),
    (Distill, 0, {"published": False, "teachers": [{"uri": "yolov8x.pt"}]}, True),
    (Policies, 0, {}, True),
    (Policies, 1, {}, True),
    (Policies, 1, {"memory": "images", "replay": {"ratio": 0.2}}, True),
    (Policies, 1, {"memory": "none"}, True),
    (Policies, 1, {"memory": "none", "replay": {}}, False),
    (Policies, 1, {"memory": "none", "replay": {"enabled": True}}, False),
    (Policies, 1, {"memory": "none", "replay": {"enabled": False}}, True),
    (Unfreeze, 0, {}, True),
    (Unfreeze, 0, {"schedule": "topDown"}, True),
    (Unfreeze, 0, {"schedule": "custom"}, False),
    (Unfreeze, 0, {"schedule": "custom", "stages": [{"learns": "all"}]}, True),
    (BatchNorm, 0, {}, True),
    (BatchNorm, 0, {"alone": True}, True),
    (BatchNorm, 0, {"statistics": "tracked"}, True),
    (BatchNorm, 0, {"alone": True, "statistics": "frozen"}, False),
    (Policies, 0, {"batchNorm": {}}, True),
    (Policies, 0, {"freeze": {"layers": 3, "batchNorm": "all"}}, True),
    (Policies, 0, {"freeze": {"layers": 3, "batchNorm": "all"}, "batchNorm": {}}, False),
    (Policies, 0, {"freeze": {"layers": 3, "batchNorm": "all"}, "batchNorm": {"statistics": "recalibrated"}}, False),
    (Policies, 0, {"freeze": {"layers": 3, "batchNorm": "all"}, "batchNorm": {"statistics": "frozen"}}, True),
    (Policies, 0, {"freeze": {"layers": 3, "batchNorm": "all"}, "batchNorm": {"enabled": False}}, True),
    (Policies, 0, {"freeze": {"layers": 3, "batchNorm": "all", "enabled": False}, "batchNorm": {}}, True),
    (Policies, 0, {"freeze": {"layers": 3}, "batchNorm": {}}, True),
    (Retrain, 0, {}, False),
    (Retrain, 0, {"everyRounds": 5}, True),
    (Retrain, 0, {"driftSum": 2.5}, True),
    (Retrain, 0, {"everyRounds": 5, "driftSum": 2.5}, True),
    (Unfreeze, 1, {}, True),
    (Unfreeze, 1, {"stages": []}, True),
    (Unfreeze, 1, {"stages": [{"learns": "all"}]}, False),
    (Unfreeze, 1, {"schedule": "topDown", "stages": [{"learns": "all"}]}, False),
    (Unfreeze, 1, {"schedule": "custom", "stages": [{"learns": "all"}]}, True),
    (CertificateAuthority, 0, {}, False),
    (CertificateAuthority, 0, {"secret": "a"}, True),
    (CertificateAuthority, 0, {"secret": "a", "configMap": "b"}, False),
    (EnvironmentVariable, 0, {"name": "A"}, False),
    (EnvironmentVariable, 0, {"name": "A", "value": ""}, True),
    (Volume, 0, {"name": "a", "mountPath": "/a", "claim": "c"}, True),
    (Volume, 0, {"name": "a", "mountPath": "/a", "claim": "c", "secret": "s"}, False),
    (CacheVolume, 0, {}, True),
    (Model, 0, {"base": "a.pt"}, True),
    (Model, 0, {"base": "a.pt", "classes": []}, True),
    (Model, 0, {"base": "a.pt", "classes": ["person"]}, False),
    (Model, 0, {"base": "a.pt", "classes": ["person"], "donors": [{"uri": "b.pt"}]}, True),
    (CacheVolume, 0, {"claim": "c", "sizeLimit": "1Gi"}, False),
]


@pytest.mark.parametrize(
    ("block", "index", "data", "holds"), CASES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_rule__python_and_cel_agree(block: type[Block], index: int, data: dict[str, Any], holds: bool) -> None:
    rule = block.rules[index]
    assert (says_python(rule, block, data), says_cel(rule, block, data)) == (holds, holds)


def test_rules__every_rule_is_in_the_table_or_drawn_at_random() -> None:
    tabled = {(block, index) for block, index, *_ in CASES}
    drawn = {(Spec, 0), (Spec, 1), (IncrementalTrain, 0)}
    assert {(block, index) for block in RULED for index in range(len(block.rules))} == tabled | drawn


def test_rules__all_of_them_reach_the_crd() -> None:
    def collect(schema: dict[str, Any]) -> list[str]:
        inner = [*schema.get("properties", {}).values(), schema.get("items", {})]
        own = [item["rule"] for item in schema.get("x-kubernetes-validations", [])]
        return own + [rule for field in inner if field for rule in collect(field)]

    assert sorted(collect(openapi_schema())) == sorted(rule.validation(block)["rule"] for block, rule in RULES)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_spec_rules__agree_on_random_specs(data: st.DataObject, spec_data: SearchStrategy[dict[str, Any]]) -> None:
    spec = data.draw(spec_data)
    if spec.get("increments") and spec.get("evaluation", {}).get("holdouts") and data.draw(st.booleans()):
        spec["evaluation"]["holdouts"][0]["uri"] = spec["increments"][0]["uri"]
    evaluation = {name: value for name, value in spec.get("evaluation", {}).items() if name == "holdouts"}
    names = ("increments", "discover")
    plain: dict[str, Any] = {name: spec[name] for name in names if name in spec}
    plain |= {"model": {"base": spec["model"]["base"]}}  # which has a rule of its own
    plain |= {"evaluation": evaluation, "store": {"uri": spec["store"]["uri"]}}
    for rule in Spec.rules:
        assert says_python(rule, Spec, plain) == says_cel(rule, Spec, plain)


LISTED = st.lists(st.sampled_from("abcd"), max_size=4, unique=True)


@given(listed=LISTED, settled=st.none() | LISTED, moved=st.booleans())
def test_settled_rule__agrees_on_random_lists(listed: list[str], settled: list[str] | None, moved: bool) -> None:
    def deliveries(names: list[str], root: str = "file:///x/") -> list[dict[str, str]]:
        return [{"name": name, "uri": root + name} for name in names]

    spec = {"model": {"base": "a.pt"}, "store": {"uri": "file:///s"}, "discover": {"uri": "file:///d"}}
    line: dict[str, Any] = {
        "apiVersion": "treering.dev/v1alpha1", "kind": "IncrementalTrain", "metadata": {"name": "a"},
        "spec": spec | ({"increments": deliveries(listed)} if listed else {}),
    }  # fmt: skip
    if settled is not None:
        line["status"] = {"settled": deliveries(settled, "file:///y/" if moved else "file:///x/")}
    (rule,) = IncrementalTrain.rules
    expected = listed[: len(settled or [])] == (settled or []) and not (settled and moved)
    assert (says_python(rule, IncrementalTrain, line), says_cel(rule, IncrementalTrain, line)) == (expected, expected)


@pytest.mark.parametrize("name", BY_ID, ids=str)
def test_rules__message_is_one_line_with_a_mend(name: str) -> None:
    block, rule = BY_ID[name]
    item = rule.validation(block)
    assert "\n" not in item["rule"] + item["message"]
    assert item["message"] == f"{rule.found}. {rule.mend}."
