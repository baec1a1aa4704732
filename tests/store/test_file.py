"""What only a folder can do wrong: links, locks between processes, names that clash, disks that refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from treering_api.errors import ResumableError, StoreError
from treering_trainer.store import AccessDeniedError, ConflictError, NoStoreError, NotFoundError, Store, open_store
from treering_trainer.store.file import FileStore

ADD = """
import sys
from treering_trainer.store import ConflictError, open_store
store = open_store(sys.argv[1])
for _ in range(20):
    while True:
        value, etag = store.get_with_etag("count")
        try:
            store.put("count", str(int(value) + 1).encode(), if_match=etag)
            break
        except ConflictError:
            pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder.as_uri())


def test_list__a_folder_that_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(NoStoreError, match="no such folder"):
        store.list()
    with pytest.raises(NotFoundError):
        store.get("key")
    store.put("key", b"x")
    assert [info.key for info in store.list()] == ["key"]


def test_list__shows_neither_locks_nor_unfinished_files(store: Store, folder: Path) -> None:
    store.put("a/key", b"x")
    store.put("a/key", b"y")
    (folder / "a" / ".treering-tmp-dead").write_bytes(b"left by a killed process")
    assert (folder / "a" / ".treering-lock").exists()
    assert [info.key for info in store.list()] == ["a/key"]


def test_file__changed_by_hand_has_another_tag(store: Store, folder: Path) -> None:
    etag = store.put("key", b"one")
    (folder / "key").write_bytes(b"two")
    assert store.stat("key").etag != etag
    with pytest.raises(ConflictError):
        store.put("key", b"three", if_match=etag)


@pytest.mark.parametrize("target", ["file", "folder"])
@pytest.mark.parametrize("method", ["get", "stat", "put", "get_file", "delete"])
def test_symlink__out_of_the_store_is_refused(store: Store, folder: Path, method: str, target: str) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    folder.mkdir()
    (folder / "link").symlink_to(outside if target == "folder" else outside / "secret")
    key = "link/secret" if target == "folder" else "link"
    more = {"put": (b"x",), "get_file": (folder.parent / "fetched",)}.get(method, ())
    with pytest.raises(AccessDeniedError, match="leads out of the store"):
        getattr(store, method)(key, *more)
    assert (outside / "secret").read_bytes() == b"secret"
    assert [entry.name for entry in outside.iterdir()] == ["secret"]


def test_symlink__to_a_folder_stops_a_listing(store: Store, folder: Path) -> None:
    store.put("real/key", b"x")
    (folder / "link").symlink_to(folder / "real")
    with pytest.raises(AccessDeniedError, match="symbolic link to a folder"):
        store.list()
    assert [info.key for info in store.at("link").list()] == ["key"]


def test_symlink__in_a_circle_or_to_nowhere_is_named(store: Store, folder: Path) -> None:
    folder.mkdir()
    (folder / "nowhere").symlink_to("gone")
    with pytest.raises(NotFoundError, match="nowhere"):
        store.list()
    (folder / "nowhere").unlink()
    (folder / "circle").symlink_to("circle")
    with pytest.raises(AccessDeniedError, match="circle"):
        store.get("circle")


def test_symlink__as_the_stores_own_folder_is_fine(store: Store, folder: Path) -> None:
    store.put("key", b"x")
    (folder.parent / "alias").symlink_to(folder)
    assert open_store((folder.parent / "alias").as_uri()).get("key") == b"x"


def test_put__a_name_is_an_object_or_a_folder(store: Store) -> None:
    store.put("a/b", b"x")
    with pytest.raises(StoreError, match="is a folder"):
        store.put("a", b"x")
    with pytest.raises(StoreError, match="b on the way to it is an object"):
        store.put("a/b/c/d", b"x")
    with pytest.raises(NotFoundError):
        store.get("a")
    with pytest.raises(NotFoundError):
        store.get("a/b/c")


def test_put__from_a_file_that_is_not_there_blames_the_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ResumableError, match="no such file to put") as caught:
        store.put_file("key", tmp_path / "gone")
    assert caught.value.where == str(tmp_path / "gone")


def test_put__new_files_have_the_modes_of_any_other(store: Store, folder: Path) -> None:
    before = os.umask(0o022)
    store.put("key", b"x")
    os.umask(before)
    assert (folder / "key").stat().st_mode & 0o777 == 0o644


def test_if_match__no_count_is_lost_between_processes(store: Store) -> None:
    store.put("count", b"0")
    paths = os.pathsep.join(path for path in sys.path if path)
    processes = [
        subprocess.Popen([sys.executable, "-c", ADD, store.uri], env={**os.environ, "PYTHONPATH": paths})
        for _ in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert store.get("count") == b"60"


def test_create__works_without_hard_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)  # as exFAT and some network file systems do
    store = FileStore(folder)
    store.put("key", b"first", create=True)
    with pytest.raises(ConflictError):
        store.put("key", b"second", create=True)
    assert store.get("key") == b"first"


def test_put__on_a_full_disk_says_so_and_leaves_nothing(full_disk: Path) -> None:
    store = open_store((full_disk / "store").as_uri())
    store.put("small", b"x" * 1000)
    with pytest.raises(ResumableError, match="disk full"):
        store.put("large", b"x" * 200_000)
    assert [info.key for info in store.list()] == ["small"]
    assert not list((full_disk / "store").glob(".treering-tmp-*"))


def test_put__on_a_read_only_disk_is_denied(read_only_disk: Path) -> None:
    with pytest.raises(AccessDeniedError, match="can't be written"):
        open_store((read_only_disk / "store").as_uri()).put("key", b"x")
