from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.plugins.s3_servers import S3Bucket
from treering_api.errors import BadSpecError, ResumableError
from treering_trainer.store import Connection, open_store, sha256_of, write_atomic
from treering_trainer.store.local import staged


def test_write_atomic__makes_the_folder_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert sha256_of(path) == hashlib.sha256(b"new").hexdigest()


def test_write_atomic__on_a_full_disk_keeps_what_was_there(full_disk: Path) -> None:
    write_atomic(full_disk / "file", b"old")
    with pytest.raises(ResumableError, match=r"file: disk full.*Free some space"):
        write_atomic(full_disk / "file", b"x" * 200_000)
    assert [(entry.name, entry.read_bytes()) for entry in full_disk.iterdir()] == [("file", b"old")]


def test_write_atomic__where_nobody_may_write_is_not_worth_a_retry(read_only_disk: Path) -> None:
    with pytest.raises(BadSpecError, match="can't be written"):
        write_atomic(read_only_disk / "file", b"x")


def test_staged__vanishes_if_not_published(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "file") as staging:
        staging.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_staged__restart_forgets(tmp_path: Path) -> None:
    with staged(tmp_path / "file") as staging:
        staging.write(b"a long beginning")
        staging.restart()
        staging.write(b"short")
        staging.publish()
    assert (tmp_path / "file").read_bytes() == b"short"
    assert (staging.size_bytes, staging.sha256) == (5, hashlib.sha256(b"short").hexdigest())


@pytest.mark.parametrize("size_bytes", [66_000, 3_000_000], ids=["in one piece", "in several"])
def test_get_file__onto_a_full_disk_says_so_and_leaves_nothing(
    s3_server: S3Bucket, full_disk: Path, size_bytes: int
) -> None:
    store = open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint))
    store.put("model.pt", b"x" * size_bytes)
    with pytest.raises(ResumableError, match="disk full"):
        store.get_file("model.pt", full_disk / "work" / "model.pt")
    assert list((full_disk / "work").iterdir()) == []
