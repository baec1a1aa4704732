"""The CustomResourceDefinition, rendered from the models: what an API server checks before the operator sees anything.

Structural: no references, no unions besides int-or-string, no defaults (Treering fills them in itself, so an object
stays as its author wrote it, and a preset can tell what was written).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from treering_api.resource import GROUP, KIND, VERSION
from treering_api.schema import inlined_schema

PLURAL = "incrementaltrains"
SINGULAR = "incrementaltrain"
SHORT_NAMES = ("itr",)
CATEGORIES = ("treering",)

_DROPPED = {"default", "x-mend", "x-optional", "propertyNames", "patternProperties", "const"}
_DROPPED |= {"exclusiveMinimum", "exclusiveMaximum"}

_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("State", "string", ".status.state", "What the line does"),
    ("Round", "integer", ".status.round", "Running or last round"),
    ("Increment", "string", ".status.increment", "Increment of that round"),
    ("Progress", "integer", ".status.progress.percent", "Percent of the running round"),
    ("ETA", "string", ".status.progress.eta", "Time left of the running round"),
    ("mAP50", "number", ".status.map50", "mAP50 of the line's model"),
    ("Forgetting", "number", ".status.forgetting", "mAP50 lost on old classes in the last round"),
    ("GPU-hours", "string", ".status.gpuHours", "GPU time of all rounds"),
    ("Age", "date", ".metadata.creationTimestamp", "Since the line was made"),
)
_WIDE_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("Outstanding", "integer", ".status.outstanding", "Increments still to be learned"),
    ("Strategy", "string", ".status.strategy", "How the round learns"),
    ("Message", "string", ".status.message", "The state in words"),
)


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition as plain data."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": list(SHORT_NAMES),
                "categories": list(CATEGORIES),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": openapi_schema()},
                }
            ],
        },
    }


def openapi_schema() -> dict[str, Any]:
    """The structural schema of the resource."""
    schema = inlined_schema()
    fields = schema["properties"]
    name = _structural(fields["metadata"]["properties"]["name"])
    properties = {
        "apiVersion": {"type": "string", "description": fields["apiVersion"]["description"]},
        "kind": {"type": "string", "description": fields["kind"]["description"]},
        "metadata": {"type": "object", "properties": {"name": name}},
        "spec": _structural(fields["spec"]),
        "status": _structural(fields["status"]),
    }
    return {
        "type": "object",
        "description": schema["description"],
        "required": ["spec"],
        "properties": properties,
        "x-kubernetes-validations": schema["x-kubernetes-validations"],
    }


def _columns() -> list[dict[str, Any]]:
    def column(row: tuple[str, str, str, str]) -> dict[str, Any]:
        name, kind, path, description = row
        return {"name": name, "type": kind, "jsonPath": path, "description": description}

    return [column(row) for row in _COLUMNS] + [column(row) | {"priority": 1} for row in _WIDE_COLUMNS]


def _structural(schema: dict[str, Any]) -> dict[str, Any]:
    """One node of the inlined schema in the dialect of Kubernetes."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return _free(schema)
    if "anyOf" in schema:
        return _int_or_string(schema)
    plain = {key: value for key, value in schema.items() if key not in _DROPPED}
    plain |= _bounds(schema)
    if "const" in schema:
        plain["enum"] = [schema["const"]]
    if "properties" in schema:
        plain["properties"] = {name: _structural(field) for name, field in schema["properties"].items()}
        plain.pop("additionalProperties", None)
    elif isinstance(schema.get("additionalProperties"), dict):
        plain["additionalProperties"] = _structural(schema["additionalProperties"])
    elif "patternProperties" in schema:
        (entry,) = schema["patternProperties"].values()
        plain["additionalProperties"] = _structural(entry)
    if "items" in schema:
        plain["items"] = _structural(schema["items"])
    return plain


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0 says exclusive bounds with a flag."""
    bounds: dict[str, Any] = {}
    for name in ("Minimum", "Maximum"):
        if f"exclusive{name}" in schema:
            bounds |= {name.lower(): schema[f"exclusive{name}"], f"exclusive{name}": True}
    return bounds


def _free(schema: dict[str, Any]) -> dict[str, Any]:
    kept = _only(schema, ("type", "description", "maxProperties", "x-kubernetes-preserve-unknown-fields"))
    return {"type": "object", **kept}


def _int_or_string(schema: dict[str, Any]) -> dict[str, Any]:
    number, text = schema["anyOf"]
    assert (number["type"], text["const"]) == ("integer", "auto"), f"no structural form for {schema}"
    return {
        "description": schema["description"],
        "x-kubernetes-int-or-string": True,
        "pattern": "^auto$",
        **_only(number, ("minimum", "maximum")),
    }


def _only(schema: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: schema[key] for key in keys if key in schema}
