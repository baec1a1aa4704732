"""The API as one JSON schema without references: the common source of the CRD, the reference and error messages."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from treering_api.resource import IncrementalTrain


def inlined_schema() -> dict[str, Any]:
    """A fresh copy of the schema of `IncrementalTrain` by camelCase names; no `$ref`, no `title`, no null arms."""
    return copy.deepcopy(_inlined())


@cache
def _inlined() -> dict[str, Any]:
    schema = IncrementalTrain.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    inlined: dict[str, Any] = _inline(schema, definitions)
    return inlined


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inline({**target, **beside}, definitions)
    plain = {
        key: _inline_properties(value, definitions) if key == "properties" else _inline(value, definitions)
        for key, value in node.items()
        if key != "title"
    }
    return _without_null(plain)


def _inline_properties(properties: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return {name: _inline(schema, definitions) for name, schema in properties.items()}


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """Optional fields may be absent; null is not written."""
    if node.get("default", ...) is None:
        del node["default"]
        node["x-optional"] = True
    if "anyOf" not in node:
        return node
    arms = [arm for arm in node["anyOf"] if arm != {"type": "null"}]
    if len(arms) > 1:
        return {**node, "anyOf": arms}
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    return {**arms[0], **beside}
