"""Says in words what may stand at a path of the API: `spec.policies.replay.ratio` → meaning, type, range, default.

The one source of such words: error messages (`load`) and the reference (`reference`) both take them from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from treering_api.schema import inlined_schema
from treering_api.yaml_text import Path

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}


def explain(path: Path | str) -> str:
    """What is allowed at a path and what it means, in a few sentences; empty for a path that does not exist.

    Args:
        path: as a text (`spec.policies.replay.ratio`) or in parts, with indices for list items.
    """
    schema = schema_at(path)
    if schema is None:
        return ""
    mend = schema.get("x-mend")
    allowed = str(mend) if mend else f"Allowed: {type_words(schema)}{_range_clause(schema)}"
    description = str(schema.get("description", ""))
    return f"{allowed}. {description}".strip().removesuffix(".")


def known_fields(path: Path | str) -> list[str]:
    """Names of the fields of the block at a path; empty where there is no block."""
    schema = schema_at(path)
    return list(schema.get("properties", {})) if schema else []


def type_words(schema: dict[str, Any]) -> str:
    """The type of a field for people: `a whole number or auto`, `one of keep, hold`."""
    arms = schema.get("anyOf")
    if arms:
        return " or ".join(type_words(arm) for arm in arms)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(value) if value == "" else str(value) for value in schema["enum"])
    words = _WORDS.get(schema.get("type", ""), "any value")
    if schema.get("type") == "array":
        return f"{words} of {_plural(schema.get('items', {}))}"
    return words


def range_words(schema: dict[str, Any]) -> str:
    """The bounds of a field for people: `1 to 200`, `above 0, at most 1`, `at most 63 characters`; may be empty."""
    return ", ".join(_range_parts(schema))


def schema_at(path: Path | str) -> dict[str, Any] | None:
    """The inlined JSON schema at a path; None where the API has no such field."""
    parts = _split(path) if isinstance(path, str) else path
    schema: dict[str, Any] | None = inlined_schema()
    for part in parts:
        if schema is None:
            return None
        if isinstance(part, int):
            schema = schema.get("items")
        elif part in schema.get("properties", {}):
            schema = schema["properties"][part]
        else:
            schema = _entry(schema)
    return schema


def _entry(schema: dict[str, Any]) -> dict[str, Any] | None:
    """What the entries of a free mapping look like."""
    inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
    return inner if isinstance(inner, dict) else None


def _split(path: str) -> Path:
    named = (part for part in path.replace("[", ".[").split(".") if part)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in named)


def _range_clause(schema: dict[str, Any]) -> str:
    words = range_words(schema)
    return f", {words}" if words else ""


def _range_parts(schema: dict[str, Any]) -> Iterator[str]:
    for arm in schema.get("anyOf", ()):
        yield from _range_parts(arm)
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        yield f"{least:g} to {most:g}" if most < 1_000_000 else f"{least} to {most}"
    else:
        named = (("at least", least), ("above", above), ("at most", most), ("below", below))
        yield from (f"{word} {bound}" for word, bound in named if bound is not None)
    if "multipleOf" in schema:
        yield f"a multiple of {schema['multipleOf']}"
    sizes = (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries"))
    yield from (f"at most {schema[key]} {what}" for key, what in sizes if key in schema)


def _plural(items: dict[str, Any]) -> str:
    words = {"object": "mappings", "string": "texts", "integer": "whole numbers", "number": "numbers"}
    if "enum" in items:
        return ", ".join(str(value) for value in items["enum"])
    return words.get(items.get("type", ""), "values")
