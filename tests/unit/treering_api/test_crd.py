"""The CRD against what an API server demands of one, and against the models it is rendered from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft4Validator
from pydantic import ValidationError

from treering_api.crd import crd, openapi_schema
from treering_api.spec import Spec

LARGEST_BYTES = 256 * 1024  # beyond it a client-side apply fails: the annotation limit
FORBIDDEN = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "default", "title", "propertyNames"}
FORBIDDEN |= {"patternProperties", "examples", "x-mend", "x-optional"}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


NODES = dict(nodes(openapi_schema()))
OWN = {path: schema for path, schema in NODES.items() if path.startswith((".spec", ".status"))}


def test_crd__is_small_enough_for_client_side_apply() -> None:
    assert len(yaml.safe_dump(crd()).encode()) < LARGEST_BYTES


@pytest.mark.parametrize("path", NODES, ids=str)
def test_crd__is_structural(path: str) -> None:
    schema = NODES[path]
    assert not FORBIDDEN & schema.keys()
    assert not ("properties" in schema and "additionalProperties" in schema)
    assert schema.get("type") or schema.get("x-kubernetes-int-or-string")
    assert schema.get("exclusiveMinimum", True) is True
    assert schema.get("exclusiveMaximum", True) is True


@pytest.mark.parametrize("path", OWN, ids=str)
def test_crd__everything_is_bounded_so_that_rules_stay_cheap(path: str) -> None:
    schema = OWN[path]
    bounds = {"string": {"maxLength", "enum"}, "array": {"maxItems"}}
    needed = bounds.get(schema.get("type", ""), set())
    if schema.get("type") == "object" and "properties" not in schema:
        needed = {"maxProperties"}
    assert not needed or needed & schema.keys()


@pytest.mark.parametrize("path", [path for path in OWN if not path.endswith("[]")], ids=str)
def test_crd__every_field_is_described(path: str) -> None:
    description = OWN[path].get("description", "")
    assert description.endswith(".")
    assert len(description.split()) >= 2


@pytest.mark.parametrize("path", [".spec.increments", ".spec.evaluation.holdouts"])
def test_crd__lists_are_keyed_by_name(path: str) -> None:
    schema = NODES[path]
    assert (schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]) == ("map", ["name"])
    assert "name" in schema["items"]["required"]


def test_crd__columns_point_at_fields() -> None:
    (version,) = crd()["spec"]["versions"]
    columns = {column["name"]: column for column in version["additionalPrinterColumns"]}
    shown = [name for name, column in columns.items() if "priority" not in column]
    assert shown == ["State", "Round", "Increment", "Progress", "ETA", "mAP50", "Forgetting", "GPU-hours", "Age"]
    for column in columns.values():
        field = NODES.get(column["jsonPath"], {"type": "string"})
        assert field["type"] == {"date": "string"}.get(column["type"], column["type"])
        assert column["jsonPath"] in NODES or column["jsonPath"] == ".metadata.creationTimestamp"


def test_crd__names_and_subresource() -> None:
    spec = crd()["spec"]
    assert (spec["names"]["shortNames"], spec["names"]["categories"]) == (["itr"], ["treering"])
    assert spec["versions"][0]["subresources"] == {"status": {}}
    assert crd()["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_crd__accepts_what_the_models_accept(data: st.DataObject, spec_data: SearchStrategy[dict[str, Any]]) -> None:
    spec = data.draw(spec_data)
    try:
        Spec.model_validate(spec)
    except ValidationError:
        assume(False)
    Draft4Validator(openapi_schema()).validate({"spec": spec})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("training.epochs", 0, id="below"),
        pytest.param("training.epochs", "many", id="not-auto"),
        pytest.param("training.learningRate", 0, id="exclusive-bound"),
        pytest.param("model.imageSize", 330, id="multiple"),
        pytest.param("store.uri", "lines/cards", id="pattern"),
        pytest.param("evaluation.gate.onReject", "stop", id="enum"),
        pytest.param("suspend", "yes", id="type"),
    ],
)
def test_crd__refuses_what_the_models_refuse(short_spec: Spec, path: str, value: object) -> None:
    spec = short_spec.model_dump(mode="json", exclude_unset=True)
    *blocks, name = path.split(".")
    block = spec
    for part in blocks:
        block = block.setdefault(part, {})
    block[name] = value
    assert not Draft4Validator(openapi_schema()).is_valid({"spec": spec})
    with pytest.raises(ValidationError):
        Spec.model_validate(spec)
