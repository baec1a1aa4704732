"""The reference pages, rendered from the models, the metric catalogue and the exit codes: words exist once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from treering_api.conditions import ConditionType, Reason
from treering_api.exit_codes import ExitCode
from treering_api.explain import range_words, type_words
from treering_api.metrics import CATALOGUE, LABELS, Metric
from treering_api.resource import API_VERSION, KIND
from treering_api.schema import inlined_schema

_NOTE = "<!-- Written by `make generate` from crds/treering_api; edit there. -->"


def api_page() -> str:
    """`docs/reference/api.md`: one table per block, spec first, then status."""
    schema = inlined_schema()
    parts = [
        f"# {KIND} ({API_VERSION})",
        _NOTE,
        "Everything a line's YAML may hold. A field whose default is *absent* does what its meaning says when it is "
        "not there; a block without a default has the defaults of its fields. Unknown fields are refused.",
    ]
    for root in ("spec", "status"):
        parts += _blocks(root, schema["properties"][root], depth=2)
    parts += ["## Rules across the resource", *_rules(schema)]
    parts += ["## Condition types and reasons", *_conditions()]
    return _page(parts)


def metrics_page() -> str:
    """`docs/reference/metrics.md`: one table per process, then the labels."""
    parts = [
        "# Metrics",
        _NOTE,
        "Served at `/metrics` in Prometheus' text format: by the trainer while a round runs, by the operator always.",
    ]
    for source in ("trainer", "operator"):
        rows = [_metric_row(metric) for metric in CATALOGUE if metric.source == source]
        if rows:
            parts += [f"## Of the {source}", _table(("Metric", "Kind", "Unit", "Labels", "Meaning"), rows)]
    labels = [(f"`{name}`", meaning) for name, meaning in LABELS.items()]
    parts += ["## Labels", _table(("Label", "What bounds its values"), labels)]
    return _page(parts)


def exit_codes_page() -> str:
    """`docs/reference/exit-codes.md`: code, reason, advice."""
    rows = [(str(code.value), code.name, f"`{code.reason}`", code.advice) for code in ExitCode]
    return _page(
        [
            "# Exit codes",
            _NOTE,
            "Each has one meaning, one condition reason in a status, and one line of advice.",
            _table(("Code", "Name", "Reason", "What to do"), rows),
        ]
    )


def _blocks(path: str, schema: dict[str, Any], depth: int) -> Iterator[str]:
    """A block's heading, table and rules, then the blocks inside it."""
    yield f"{'#' * min(depth, 4)} `{path}`"
    yield str(schema.get("description", ""))
    required = set(schema.get("required", ()))
    fields = schema["properties"]
    rows = [_field_row(path, name, field, name in required) for name, field in fields.items()]
    yield _table(("Field", "Type", "Default", "Range", "Meaning"), rows)
    yield from _rules(schema)
    for name, field in fields.items():
        inner, suffix = (field.get("items", {}), "[]") if field.get("type") == "array" else (field, "")
        if "properties" in inner:
            yield from _blocks(f"{path}.{name}{suffix}", inner, depth + 1)


def _field_row(path: str, name: str, schema: dict[str, Any], required: bool) -> tuple[str, ...]:
    return (
        f"`{name}`",
        _type(path, name, schema),
        _default(schema, required),
        range_words(schema),
        schema["description"],
    )


def _type(path: str, name: str, schema: dict[str, Any]) -> str:
    if "properties" in schema:
        return f"[block](#{_anchor(f'{path}.{name}')})"
    if "properties" in schema.get("items", {}):
        return f"[list of blocks](#{_anchor(f'{path}.{name}[]')})"
    return type_words(schema)


def _anchor(path: str) -> str:
    """The anchor that GitHub gives to a heading with the path in it."""
    return "".join(letter for letter in path.lower() if letter.isalnum() or letter in "-_")


def _default(schema: dict[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    if "default" in schema:
        return f"`{json.dumps(schema['default'])}`"
    return "*absent*" if "x-optional" in schema else ""


def _rules(schema: dict[str, Any]) -> Iterator[str]:
    rules = schema.get("x-kubernetes-validations", [])
    if rules:
        yield "Refused:\n\n" + "\n".join(f"- {rule['message']}" for rule in rules)


def _conditions() -> Iterator[str]:
    yield "Types: " + ", ".join(f"`{kind}`" for kind in ConditionType) + "."
    yield "Reasons: " + ", ".join(f"`{reason}`" for reason in Reason) + "."


def _metric_row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return (f"`{metric.name}`", metric.kind, metric.unit, labels, metric.help)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(header)
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
