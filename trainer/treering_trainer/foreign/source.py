"""What each format gives: an object of plain data and inert records, and the numbers of its storages."""

from __future__ import annotations

from typing import Any, Protocol


class Source(Protocol):
    """An opened model file."""

    container: str
    """The format, in words."""
    root: Any
    """What was saved."""
    structure_bytes: int
    """Bytes that describe the tensors: pickle or header."""

    def read(self, key: str, start: int, size_bytes: int) -> bytes:
        """Bytes of the storage under a key."""
        ...
