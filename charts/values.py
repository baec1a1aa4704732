"""values.yaml as its author wrote it: fields with their comments, and the JSON schema that Helm checks values against.

The comment above a field is its description; a line `@schema {...}` adds bounds to the type that its default shows.
Called by `charts.generate`; a field without a comment, or an open mapping without `@schema`, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Schema = dict[str, Any]
Path = tuple[str, ...]
_MARK = "@schema "
_FIELD = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z][A-Za-z0-9]*):")


@dataclass(frozen=True)
class Field:
    """One field of values.yaml.

    Args:
        path: names from the top, such as (image, tag).
        default: what stands there.
        description: the comment above it, in one line.
        bounds: what `@schema` adds; None where there is no such line.
    """

    path: Path
    default: Any
    description: str
    bounds: Schema | None

    @property
    def is_block(self) -> bool:
        """Whether it only holds further fields."""
        return isinstance(self.default, dict) and bool(self.default) and self.bounds is None


def read_fields(text: str) -> tuple[Field, ...]:
    """Every field of a values.yaml in its order.

    Raises:
        ValueError: a field has no description, or holds free keys without saying which.
    """
    values = yaml.safe_load(text)
    comments = dict(_comments(text))
    fields = tuple(_walk(values, (), comments))
    for field in fields:
        if not field.description:
            raise ValueError(f"values.yaml: {'.'.join(field.path)} has no comment above it")
        if field.default in ({}, []) and field.bounds is None:
            raise ValueError(f"values.yaml: {'.'.join(field.path)} is empty and has no @schema line")
    return fields


def schema_of(fields: tuple[Field, ...], title: str) -> Schema:
    """The JSON schema of all fields: nothing else may be said, and everything has its description."""
    root = _block("Values of the chart.")
    for field in fields:
        _holder(root, field.path)["properties"][field.path[-1]] = _node(field)
    open_ends = {"global": {"type": "object", "description": "Helm's own, of a parent chart; not read."}}
    root["properties"] |= open_ends
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": title, **root}


def _walk(values: Mapping[str, Any], above: Path, comments: Mapping[Path, str]) -> Iterator[Field]:
    for name, default in values.items():
        path = (*above, name)
        description, _, bounds = comments.get(path, "").partition(_MARK)
        field = Field(path, default, description.strip(), yaml.safe_load(bounds) if bounds else None)
        yield field
        if field.is_block:
            yield from _walk(default, path, comments)


def _comments(text: str) -> Iterator[tuple[Path, str]]:
    """The comment right above each field. Two spaces a level, as the house writes YAML."""
    path: list[str] = []
    gathered: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            gathered.append(stripped.removeprefix("#").strip())
            continue
        if match := _FIELD.match(line):
            path = [*path[: len(match["indent"]) // 2], match["name"]]
            yield tuple(path), " ".join(gathered)
        gathered = []


def _node(field: Field) -> Schema:
    if field.is_block:
        return _block(field.description)
    kind = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return {"type": kind[type(field.default)], "description": field.description, **(field.bounds or {})}


def _block(description: str) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": False, "properties": {}}


def _holder(root: Schema, path: Path) -> Schema:
    node = root
    for name in path[:-1]:
        node = node["properties"][name]
    return node
