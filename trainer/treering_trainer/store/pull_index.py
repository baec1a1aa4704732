"""What a pull remembers about the files it fetched, in one JSON file beside them.

Used by `transfer.pull` alone, from many threads. A file counts as fetched while the object's tag, the file's size and
its time stamp are those of then; an index that can't be read is an empty one, since fetching again is always right.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from treering_trainer.records import Record
from treering_trainer.store import local
from treering_trainer.store.base import ObjectInfo

_SAVE_INTERVAL_S = 30.0


class _Entry(Record):
    uri: str
    etag: str
    size_bytes: int
    mtime_ns: int


class _Content(Record):
    schema_version: Literal[1] = 1
    files: dict[str, _Entry] = Field(default_factory=dict)


@dataclass
class PullIndex:
    """Entries by file, relative to the index's folder."""

    path: Path
    _files: dict[str, _Entry]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _saved_s: float = field(default_factory=time.monotonic)

    @classmethod
    def load(cls, path: Path) -> PullIndex:
        """The index at a path, empty where there is none that can be read."""
        try:
            return cls(path, dict(_Content.model_validate_json(path.read_bytes()).files))
        except (OSError, ValidationError):
            return cls(path, {})

    def holds(self, uri: str, info: ObjectInfo, path: Path) -> bool:
        """Whether the file is there and still is what this version of the object is."""
        entry = self._files.get(self._name(path))
        try:
            stat = path.stat()
        except OSError:
            return False
        return entry == _Entry(uri=uri, etag=info.etag, size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def note(self, uri: str, info: ObjectInfo, path: Path) -> None:
        """Remembers a file just fetched; now and then saves, for the case that nobody gets to."""
        entry = _Entry(uri=uri, etag=info.etag, size_bytes=info.size_bytes, mtime_ns=path.stat().st_mtime_ns)
        with self._lock:
            self._files[self._name(path)] = entry
            due = time.monotonic() - self._saved_s > _SAVE_INTERVAL_S
        if due:
            self.save()

    def save(self) -> None:
        """Writes the index, whole or not at all."""
        with self._lock:
            self._saved_s = time.monotonic()
            local.write_atomic(self.path, _Content(files=self._files).model_dump_json().encode())

    def _name(self, path: Path) -> str:
        return os.path.relpath(path.absolute(), self.path.parent)
