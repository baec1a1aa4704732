"""Random valid data after the CRD's own schema, for property tests: specs as users might write them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from treering_api.schema import inlined_schema
from treering_api.training import FREE_OVERRIDES

_SHORT_LISTS = 3


def spec_values() -> SearchStrategy[dict[str, Any]]:
    """Plain data of specs that keep every bound of a single field; cross-field rules may be broken."""
    strategy: SearchStrategy[dict[str, Any]] = values_of(spec_schema())
    return strategy


def spec_schema() -> dict[str, Any]:
    """JSON schema of `spec`, without references."""
    schema: dict[str, Any] = copy.deepcopy(inlined_schema()["properties"]["spec"])
    overrides = schema["properties"]["training"]["properties"]["overrides"]["patternProperties"]
    (entry,) = overrides.values()
    overrides.clear()
    overrides[f"^({'|'.join(FREE_OVERRIDES)})$"] = entry  # no schema in Kubernetes can list the keys of a mapping
    return schema


def values_of(schema: dict[str, Any]) -> SearchStrategy[Any]:
    """Values that one (sub-)schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    if "anyOf" in schema:
        return st.one_of([values_of(arm) for arm in schema["anyOf"]])
    builders: dict[str, Callable[[dict[str, Any]], SearchStrategy[Any]]] = {
        "object": _objects, "array": _lists, "string": _texts, "integer": _integers, "number": _numbers,
    }  # fmt: skip
    kind = schema.get("type")
    return st.booleans() if kind == "boolean" else builders[kind](schema) if kind else st.integers()


def _objects(schema: dict[str, Any]) -> SearchStrategy[Any]:
    if "properties" in schema:
        required = schema.get("required", [])
        fields = {name: values_of(field) for name, field in schema["properties"].items()}
        return st.fixed_dictionaries(
            {name: values for name, values in fields.items() if name in required},
            optional={name: values for name, values in fields.items() if name not in required},
        )
    if "patternProperties" in schema:
        ((pattern, entry),) = schema["patternProperties"].items()
        keys = st.from_regex(pattern, fullmatch=True, alphabet=_ALPHABET).filter(lambda key: len(key) <= 60)
        return st.dictionaries(keys, values_of(entry), max_size=_SHORT_LISTS)
    keys = st.text("abcXYZ -ü", min_size=1, max_size=8)
    return st.dictionaries(
        keys, values_of(schema["additionalProperties"]), max_size=min(_SHORT_LISTS, schema["maxProperties"])
    )


def _lists(schema: dict[str, Any]) -> SearchStrategy[Any]:
    keys = schema.get("x-kubernetes-list-map-keys")
    unique_by = (lambda item: item[keys[0]]) if keys else None
    return st.lists(values_of(schema["items"]), max_size=min(_SHORT_LISTS, schema["maxItems"]), unique_by=unique_by)


_ALPHABET = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f")


def _texts(schema: dict[str, Any]) -> SearchStrategy[Any]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 100)
    if "pattern" in schema:
        texts = st.from_regex(schema["pattern"], fullmatch=True, alphabet=_ALPHABET)
        return texts.filter(lambda text: least <= len(text) <= most and "\n" not in text)
    return st.text(_ALPHABET, min_size=least, max_size=min(most, 20))


def _integers(schema: dict[str, Any]) -> SearchStrategy[Any]:
    step = schema.get("multipleOf", 1)
    least, most = schema.get("minimum", 0), schema.get("maximum", 10_000)
    return st.integers(-(-least // step), most // step).map(lambda count: count * step)


def _numbers(schema: dict[str, Any]) -> SearchStrategy[Any]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1000.0))
    most = schema.get("maximum", schema.get("exclusiveMaximum", 1000.0))
    return st.floats(
        least, most, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema, width=64
    )
