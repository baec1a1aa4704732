"""The ways in which operators break (Acto, SOSP'23), tried field by field on the real API server.

Every field of the CRD's spec gets values that its schema allows, values at the edge of it and values of a wrong kind. What
the API server refuses, it must refuse with words about the field; what it accepts, the operator must either act upon
or tell in the status as Stalled with a message; and after the good spec is put back, the line must be as it was. One
operator lives through all of it.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from tests.plugins.api_server import ApiServer
from tests.plugins.operators import OperatorProcess

ROOT = Path(__file__).parents[2]
CRD = yaml.safe_load((ROOT / "crds" / "treering.dev_incrementaltrains.yaml").read_text())
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
ODD = (None, "", 0, -1, 2**63 - 1, 1e300, True, [], {}, "\u0000", "x" * 5000, "💥", "${HOME}", "../..", [None], {"": ""})
ABSENT = object()
SETTLE_S = 10.0
EXAMPLES_PER_FIELD = 2
Place = tuple[str | int, ...]


def fields(schema: dict[str, Any], place: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    if place:
        yield place, schema
    for name, child in schema.get("properties", {}).items():
        yield from fields(child, (*place, name))
    if schema.get("type") == "array":
        yield from fields(schema["items"], (*place, 0))


FIELDS = tuple(fields(SCHEMA))


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without Kubernetes' own words, which no JSON schema library knows."""
    return {
        key: plain(value) if isinstance(value, dict) else value
        for key, value in schema.items()
        if not key.startswith("x-")
    }


def good_spec() -> dict[str, Any]:
    return {
        "model": {"base": "s3://models/yolov8n.pt"},
        "store": {"uri": "s3://lines/odd"},
        "increments": [{"name": "one", "uri": "s3://deliveries/one"}],
        "compute": {"env": [{"name": "A", "value": "b"}], "volumes": [], "tolerations": []},
        "suspend": True,
    }


def put(spec: dict[str, Any], place: Place, value: object) -> dict[str, Any]:
    """A copy of the spec with one field set, and what is needed to reach it."""
    spec = copy.deepcopy(spec)
    node: Any = spec
    for part, following in zip(place, place[1:], strict=False):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(part, int):
            if not node:
                node.append(empty)
            node = node[part]
        else:
            if not isinstance(node.get(part), type(empty)):
                node[part] = empty
            node = node[part]
    last = place[-1]
    if isinstance(last, int):
        node[:1] = [value]
    elif value is ABSENT:
        node.pop(last, None)
    else:
        node[last] = value
    return spec
