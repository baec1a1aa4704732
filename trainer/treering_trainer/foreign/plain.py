"""Plain data out of an unpickled object: bounded, printable, fit for JSON; and the places on disk that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from treering_trainer.foreign.tensors import StorageRef, TensorRecord
from treering_trainer.foreign.unpickling import Inert

LONGEST_TEXT = 2_000
MOST_ITEMS = 2_000
DEPTH = 10
LARGEST_NUMBER = 1 << 63
MOST_OBJECTS = 2_000_000
MOST_PRIVATE = 200
PRIVATE = re.compile(r"(/|~/|[A-Za-z]:[\\/]|\\\\)[^\s].*|[a-z][a-z0-9+.-]*://.*|git@.*|.*@[^/\s]+:.*")
"""Places on somebody's disk, and addresses of their servers."""


def plain(value: object, depth: int = DEPTH) -> Any:
    """A copy of numbers, texts and containers; what is none of them becomes the name of its kind."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < LARGEST_NUMBER else "(a huge number)"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, TensorRecord):
        return f"(a tensor of shape {value.shape})"
    if depth == 0:
        return "(deeper)"
    if isinstance(value, Mapping):
        return {str(plain(key, 0)): plain(item, depth - 1) for key, item in _first(dict.items(value))}  # type: ignore[arg-type]
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth - 1) for _, item in _first((None, item) for item in value)]
    if isinstance(value, Inert):
        return _inert(value, depth)
    if isinstance(value, type) and issubclass(value, Inert):
        return f"({value.origin})"
    return f"({type(value).__name__})"


def printable(text: str) -> str:
    """A text without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:LONGEST_TEXT])


def tensors_in(value: object) -> Iterator[TensorRecord]:
    """Every tensor that can be reached, each once."""
    return (item for item in _reachable(value) if isinstance(item, TensorRecord))


def storages_of(value: object) -> dict[str, StorageRef]:
    """The storages behind all tensors, by key."""
    return {record.storage.key: record.storage for record in tensors_in(value)}


def private_texts(value: object) -> list[str]:
    """Texts that name a place on a disk or a server."""
    found: dict[str, None] = {}
    for item in _reachable(value):
        if isinstance(item, Inert) and "Path" in item.origin:
            text = "/".join(part for part in item.args if isinstance(part, str)).replace("//", "/")
        else:
            text = item if isinstance(item, str) else ""
        if text and PRIVATE.fullmatch(text) and len(found) < MOST_PRIVATE:
            found[printable(text)] = None
    return list(found)


def _reachable(root: object) -> Iterator[object]:
    seen: set[int] = set()
    waiting = [root]
    while waiting and len(seen) < MOST_OBJECTS:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, Mapping):
            pairs: Any = value  # by the class's own method: what a subclass says of its items is foreign code
            waiting.extend(reversed([half for pair in dict.items(pairs) for half in pair]))
        elif isinstance(value, list | tuple | set | frozenset):
            waiting.extend(reversed(list(value)))
        elif isinstance(value, Inert):
            waiting.extend([value.items, value.state, value.args])


def _inert(value: Inert, depth: int) -> Any:
    if "Path" in value.origin:
        return "/".join(str(plain(part, 0)) for part in value.args).replace("//", "/")
    if value.origin.endswith(("Namespace", "defaultdict", "Counter")):
        pairs = {**dict(pair for pair in value.items if isinstance(pair[0], str)), **value.attributes()}
        return plain(pairs, depth)
    return f"({value.origin})"


def _first(pairs: Any) -> Iterator[tuple[Any, Any]]:
    for place, pair in enumerate(pairs):
        if place >= MOST_ITEMS:
            return
        yield pair
