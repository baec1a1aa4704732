from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from treering_trainer.records import FileEntry
from treering_trainer.store import (
    ConflictError,
    IntegrityError,
    Manifest,
    NotFoundError,
    Store,
    check_file,
    describe_file,
    read_manifest,
    write_manifest,
)

EMPTY = hashlib.sha256(b"").hexdigest()
MANIFEST = Manifest(files={"model.pt": FileEntry(size_bytes=3, sha256="a" * 64)}, extra={"line": "demo", "round": 3})


def test_write_manifest__is_read_back(store: Store) -> None:
    sha256 = write_manifest(store, "rounds/3/manifest.json", MANIFEST)
    assert hashlib.sha256(store.get("rounds/3/manifest.json")).hexdigest() == sha256
    assert read_manifest(store, "rounds/3/manifest.json", sha256=sha256) == MANIFEST


def test_write_manifest__twice_is_fine_and_another_is_a_conflict(store: Store) -> None:
    sha256 = write_manifest(store, "manifest.json", MANIFEST)
    assert write_manifest(store, "manifest.json", MANIFEST) == sha256
    with pytest.raises(ConflictError):
        write_manifest(store, "manifest.json", Manifest(files={}))
    assert read_manifest(store, "manifest.json") == MANIFEST


def test_read_manifest__missing_or_another(store: Store) -> None:
    with pytest.raises(NotFoundError):
        read_manifest(store, "manifest.json")
    write_manifest(store, "manifest.json", MANIFEST)
    with pytest.raises(IntegrityError, match="was promised"):
        read_manifest(store, "manifest.json", sha256=EMPTY)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"files": {"a": {}}}', b'{"files": {}, "schema_version": 2}', b'{"files": {}, "x": 1}']
)
def test_read_manifest__anything_else_is_not_believed(store: Store, data: bytes) -> None:
    store.put("manifest.json", data)
    with pytest.raises(IntegrityError, match="is not a manifest") as caught:
        read_manifest(store, "manifest.json")
    assert caught.value.where == f"{store.uri}/manifest.json"


def test_check_file__takes_only_the_described_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"abc")
    entry = describe_file(path)
    assert entry == FileEntry(size_bytes=3, sha256=hashlib.sha256(b"abc").hexdigest())
    check_file(path, entry)
    for other in (b"abd", b"ab", b""):
        path.write_bytes(other)
        with pytest.raises(IntegrityError, match="the manifest says 3 bytes"):
            check_file(path, entry)
    path.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        check_file(path, entry)
