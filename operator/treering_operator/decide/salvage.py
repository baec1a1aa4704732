"""Models out of data that others wrote: what can be read is kept, what can't is left out, and nothing is raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

M = TypeVar("M", bound=BaseModel)


def salvage(kind: type[M], data: Any) -> M | None:
    """The model of what is valid in `data`; None where a field that it needs is not."""
    left = {to_camel(str(key)): value for key, value in data.items()} if isinstance(data, Mapping) else {}
    while True:
        try:
            return kind.model_validate(left)
        except ValidationError as error:
            places = [detail["loc"] for detail in error.errors(include_url=False, include_input=False)]
        kept = _without(left, places)
        if kept == left:
            return None
        left = kept


def _without(data: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """The data without the fields at fault; of a list only the items."""
    names = {str(place[0]) for place in places if place}
    kept = {key: value for key, value in data.items() if key not in names}
    for name in names & set(data):
        items, indices = data[name], [place[1] if len(place) > 1 else None for place in places if place[0] == name]
        if isinstance(items, (list, tuple)) and all(isinstance(index, int) for index in indices):
            kept[name] = [item for index, item in enumerate(items) if index not in indices]
    return kept
