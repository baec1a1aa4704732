"""Text to model, with errors for people: which field, what was found, what is allowed, what was probably meant.

Called by the command line with a file's text and by the operator with an object from the API server. Never a
traceback for a user's mistake.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from treering_api.errors import BadSpecError
from treering_api.explain import explain, known_fields
from treering_api.resource import API_VERSION, KIND, IncrementalTrain
from treering_api.rules import camel_path
from treering_api.yaml_text import Path, dotted, read_yaml

_SHOWN = 60
_PLAIN = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?|true|false")


def parse(text: str, source: str) -> IncrementalTrain:
    """Read one `IncrementalTrain` from YAML (or JSON) text.

    Args:
        text: the whole text.
        source: what to call it in errors, usually the file's name.

    Raises:
        BadSpecError: anything that is not a valid line; names the field's path and the line of the text.
    """
    data, lines = read_yaml(text, source)
    return _build(data, source, lines)


def read(data: Mapping[str, Any], source: str) -> IncrementalTrain:
    """Read one `IncrementalTrain` from plain data, as an API server gives it.

    Raises:
        BadSpecError: as `parse`, without line numbers.
    """
    return _build(dict(data), source, {})


def _build(data: dict[str, Any], source: str, lines: dict[Path, int]) -> IncrementalTrain:
    _check_identity(data, source)
    _refuse_nulls(data, ())
    try:
        return IncrementalTrain.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _to_bad_spec(error, source, lines) from None


def _check_identity(data: dict[str, Any], source: str) -> None:
    kind, version = data.get("kind"), data.get("apiVersion")
    if kind != KIND:
        found = f"kind is {_shown(kind)}" if "kind" in data else "no kind is given"
        raise BadSpecError(source, found, f"Treering reads `kind: {KIND}`")
    if version != API_VERSION:
        found = f"apiVersion is {_shown(version)}" if "apiVersion" in data else "no apiVersion is given"
        raise BadSpecError(source, found, f"This release reads `apiVersion: {API_VERSION}`")


def _refuse_nulls(value: Any, path: Path) -> None:
    if path and path[0] == "metadata":
        return
    if value is None:
        raise BadSpecError(dotted(path), "no value is given", "Give one, or remove the line for the default")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nulls(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nulls(item, (*path, index))


def _to_bad_spec(error: ValidationError, source: str, lines: dict[Path, int]) -> BadSpecError:
    """The most telling of pydantic's errors in words, and how many more there are."""
    details = sorted(error.errors(include_url=False), key=_telling)
    first = details[0]
    path = _path(first)
    found, mend = _words(first, path)
    count = len({_path(detail) for detail in details})
    place = _place(path, source, lines)
    more = f"; {count - 1} more after it" if count > 1 else ""
    return BadSpecError(dotted(path), f"{found} ({place}{more})", mend)


def _telling(detail: ErrorDetails) -> int:
    """Unknown fields first: they are often the cause of a missing one."""
    return {"extra_forbidden": 0, "missing": 2}.get(detail["type"], 1)


def _path(detail: ErrorDetails) -> Path:
    """The path as in YAML: without the names pydantic gives to the arms of a union, with the field of a rule."""
    parts = [part for part in detail["loc"] if not (isinstance(part, str) and _is_union_arm(part))]
    context = detail.get("ctx", {})
    if detail["type"] == "rule" and context["field"]:
        parts += camel_path(context["field"]).split(".")
    if detail["type"] == "reserved":
        parts.append(context["key"])
    return tuple(part for part in parts if part != "[key]")


def _is_union_arm(part: str) -> bool:
    return part in {"bool", "int", "float", "str"} or part.startswith(("constrained-", "literal[", "function-"))


def _place(path: Path, source: str, lines: dict[Path, int]) -> str:
    for end in range(len(path), -1, -1):
        if lines and path[:end] in lines:
            return f"{source}, line {lines[path[:end]]}"
    return source


def _words(detail: ErrorDetails, path: Path) -> tuple[str, str]:
    """What was found and the mend."""
    kind, value = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if kind in {"rule", "reserved"}:
        return detail["msg"], context["mend"]
    if kind == "not_unique":
        return detail["msg"], f"Give every one a {context['field']} of its own"
    if kind == "too_long":
        return f"found {len(value)} items", explain(path)
    if kind == "extra_forbidden":
        return "unknown field", _did_you_mean(path)
    if kind == "missing":
        return "the field is missing", explain(path)
    if isinstance(value, BaseModel) or kind in {"model_type", "dict_type", "tuple_type"}:
        return f"found {_shown(value)}, which is {_type_name(value)}", explain(path)
    return f"found {_shown(value)}{_quoted_hint(kind, value)}", explain(path)


def _quoted_hint(kind: str, value: Any) -> str:
    if kind == "string_type":
        return f", which is {_type_name(value)}; texts that look like one need quotes"
    if isinstance(value, str) and kind in {"int_type", "float_type", "bool_type"}:
        return ", which is a text" + ("; write it without quotes" if _PLAIN.fullmatch(value) else "")
    return ""


def _did_you_mean(path: Path) -> str:
    name, known = str(path[-1]), known_fields(path[:-1])
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6) or [
        field for field in known if field.lower() == name.replace("_", "").replace("-", "").lower()
    ]
    allowed = f"Known here: {', '.join(known)}"
    return f"Did you mean {close[0]}? {allowed}" if close else allowed


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _type_name(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a mapping",
    }
    return names.get(type(value), type(value).__name__)
