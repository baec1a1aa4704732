"""The manifest: the list of a publication's files with their sizes and digests, written last.

Written by the publish stage, read by everyone who wants a round's files: what no manifest names does not exist for a
reader. A manifest is created, never replaced; writing the same one twice is fine, so that a publication cut off after
its last step can be run again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from treering_trainer.records import FileEntry, Record
from treering_trainer.store import local
from treering_trainer.store.base import Store, damaged
from treering_trainer.store.errors import ConflictError


class Manifest(Record):
    """What belongs together."""

    schema_version: Literal[1] = 1
    files: dict[str, FileEntry] = Field(description="by key, relative to the manifest's own folder")
    extra: dict[str, JsonValue] = Field(
        default_factory=dict, description="whatever else the writer wants to be believed"
    )


def write_manifest(store: Store, key: str, manifest: Manifest) -> str:
    """Writes the manifest if there is none, and returns the SHA-256 of its bytes in hex.

    Raises:
        ConflictError: there is a different one; it stays.
    """
    data = _encode(manifest)
    try:
        store.put(key, data, create=True)
    except ConflictError:
        if store.get(key) != data:
            raise
    return hashlib.sha256(data).hexdigest()


def read_manifest(store: Store, key: str, *, sha256: str | None = None) -> Manifest:
    """The manifest at a key.

    Raises:
        NotFoundError: there is none, so there is no publication.
        IntegrityError: it is not a manifest, or not the one with the given digest.
    """
    data = store.get(key)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise damaged(store.where(key), f"SHA-256 is {hashlib.sha256(data).hexdigest()}, {sha256} was promised")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise damaged(store.where(key), f"is not a manifest: {place}: {first['msg']}") from error


def describe_file(path: Path) -> FileEntry:
    """The entry of a local file."""
    return FileEntry(size_bytes=path.stat().st_size, sha256=local.sha256_of(path))


def check_file(path: Path, entry: FileEntry) -> None:
    """Refuses a local file that is not what its entry says.

    Raises:
        IntegrityError: it is missing, or has another size or digest.
    """
    if not path.is_file():
        raise damaged(str(path), "is missing")
    found = describe_file(path)
    if found != entry:
        raise damaged(
            str(path),
            f"has {found.size_bytes} bytes with SHA-256 {found.sha256}, "
            f"the manifest says {entry.size_bytes} bytes with {entry.sha256}",
        )


def _encode(manifest: Manifest) -> bytes:
    return json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True).encode() + b"\n"
