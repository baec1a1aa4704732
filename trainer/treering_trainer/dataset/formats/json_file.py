"""JSON from elsewhere: bounded, parsed, and its shapes checked by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from treering_trainer.dataset.formats.marks import UnreadableError

MOST_BYTES = 512 * 1024 * 1024
MEND = "Export it anew, or take the file away."


def read_json(path: Path, where: str) -> Any:
    """A file's content.

    Raises:
        UnreadableError: it is too large, or no JSON.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableError(where, f"{size:,} bytes; {MOST_BYTES:,} are read at most", "Split it by picture.")
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except RecursionError as error:
        raise UnreadableError(where, "it is nested too deeply", MEND) from error
    except ValueError as error:
        raise UnreadableError(where, f"it is no JSON ({str(error)[:120]})", MEND) from error


def mapping(value: object, where: str, what: str) -> dict[str, Any]:
    """An object of JSON."""
    if not isinstance(value, dict):
        raise UnreadableError(where, f"{what} is {type(value).__name__}, no object", MEND)
    return value


def listed(value: object, where: str, what: str) -> list[Any]:
    """A list of JSON."""
    if not isinstance(value, list):
        raise UnreadableError(where, f"{what} is {type(value).__name__}, no list", MEND)
    return value


def text(value: object, where: str, what: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise UnreadableError(where, f"{what} is {str(value)[:40]!r}, no text", MEND)
    return value
