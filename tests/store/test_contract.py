"""What every store promises, asked of a folder and of two real S3 servers."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tests.store.conftest import Place
from treering_trainer.store import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    ObjectInfo,
    Store,
    probe,
)

ODD_KEYS = [
    "a b.jpg",
    "grün/ü+1.jpg",
    "100%25.txt",
    "q?x=1#y.txt",
    "dots..in..it",
    ".hidden",
    "'\"&<>.txt",
    "日本/犬.png",
]


def test_put__comes_back_with_one_tag_everywhere(store: Store) -> None:
    etag = store.put("models/a.bin", b"some bytes")
    assert store.get("models/a.bin") == b"some bytes"
    assert store.get_with_etag("models/a.bin") == (b"some bytes", etag)
    assert store.stat("models/a.bin") == ObjectInfo("models/a.bin", 10, etag)
    assert list(store.list()) == [ObjectInfo("models/a.bin", 10, etag)]


def test_put__replaces_and_changes_the_tag(store: Store) -> None:
    before = store.put("key", b"old, longer")
    after = store.put("key", b"new")
    assert store.get("key") == b"new"
    assert before != after == store.stat("key").etag


def test_put__a_zero_byte_object_is_an_object(store: Store) -> None:
    store.put("labels/background.txt", b"")
    assert store.get("labels/background.txt") == b""
    assert [(info.key, info.size_bytes) for info in store.list("labels/")] == [("labels/background.txt", 0)]


def test_put__odd_but_valid_keys_round_trip(store: Store) -> None:
    for key in ODD_KEYS:
        store.put(key, key.encode())
    assert [info.key for info in store.list()] == sorted(ODD_KEYS)
    assert {key: store.get(key) for key in ODD_KEYS} == {key: key.encode() for key in ODD_KEYS}


def test_list__is_sorted_and_relative_and_takes_any_prefix(store: Store) -> None:
    for key in ("b/2.txt", "a/10.txt", "a/2.txt", "a.txt", "ab/1.txt", "a/sub/deep.txt"):
        store.put(key, b"x")
    everything = ["a.txt", "a/10.txt", "a/2.txt", "a/sub/deep.txt", "ab/1.txt", "b/2.txt"]
    assert [info.key for info in store.list()] == everything
    assert [info.key for info in store.list("a/")] == ["a/10.txt", "a/2.txt", "a/sub/deep.txt"]
    assert [info.key for info in store.list("a/1")] == ["a/10.txt"]
    assert [info.key for info in store.list("nothing/here")] == []


def test_stream__is_what_list_gives_in_no_order(store: Store) -> None:
    for key in ("b/2.txt", "a/10.txt", "a.txt", "a/sub/deep.txt"):
        store.put(key, b"x")
    for prefix in ("", "a/"):
        assert sorted(store.stream(prefix), key=lambda info: info.key) == list(store.list(prefix))
    assert list(store.stream("nothing/here/")) == []


def test_folders__are_those_right_below_the_root(store: Store) -> None:
    for key in ("b/2.txt", "a/10.txt", "a/2.txt", "a.txt", "Grün ü/1.txt", "a/sub/deep.txt", ".hidden/x"):
        store.put(key, b"x")
    assert store.folders() == (".hidden", "Grün ü", "a", "b")
    assert store.at("a").folders() == ("sub",)
    assert store.at("a/sub").folders() == ()
    assert store.at("nothing").folders() == ()


def test_at__is_a_store_of_its_own_below(store: Store) -> None:
    store.put("rounds/1/model.pt", b"one")
    store.put("rounds/10/model.pt", b"ten")
    below = store.at("rounds").at("1/")
    assert below.uri == f"{store.uri}/rounds/1"
    assert [info.key for info in below.list()] == ["model.pt"]
    assert below.get("model.pt") == b"one"
    below.put("sub/x", b"x")
    assert store.get("rounds/1/sub/x") == b"x"


@pytest.mark.parametrize("method", ["get", "stat", "get_with_etag"])
def test_missing__is_not_found_and_named(store: Store, method: str) -> None:
    store.put("other", b"x")
    with pytest.raises(NotFoundError) as caught:
        getattr(store, method)("no/such.key")
    assert caught.value.where == f"{store.uri}/no/such.key"


def test_delete__removes_and_is_content_with_nothing(store: Store) -> None:
    store.put("key", b"x")
    store.delete("key")
    store.delete("key")
    assert list(store.list()) == []


def test_create__only_where_nothing_is(store: Store) -> None:
    etag = store.put("key", b"first", create=True)
    with pytest.raises(ConflictError) as caught:
        store.put("key", b"first", create=True)
    assert caught.value.where == f"{store.uri}/key"
    assert store.get_with_etag("key") == (b"first", etag)


def test_if_match__replaces_only_what_was_read(store: Store) -> None:
    stale = store.put("key", b"first")
    fresh = store.put("key", b"second", if_match=stale)
    with pytest.raises(ConflictError):
        store.put("key", b"third", if_match=stale)
    assert store.get_with_etag("key") == (b"second", fresh)


def test_if_match__of_a_missing_object_is_a_conflict(store: Store) -> None:
    etag = store.put("key", b"first")
    store.delete("key")
    with pytest.raises(ConflictError, match="is gone"):
        store.put("key", b"second", if_match=etag)
    assert list(store.list()) == []


def test_conditions__probe_says_what_the_server_does(place: Place) -> None:
    found = probe(place.store)
    assert (found.conditional_create, found.conditional_replace) == (place.conditional, place.conditional)
    assert place.store.capabilities == place.store.at("below").capabilities == found
    assert list(place.store.list()) == [], "the probe cleans up"


def test_conditions__without_the_look_first_only_the_server_keeps_them(place: Place) -> None:
    stale = place.store.put("key", b"first")
    place.store.put("key", b"second")
    for condition in ({"create": True}, {"if_match": stale}):
        if place.conditional:
            with pytest.raises(ConflictError):
                place.store.put_unguarded("key", b"third", **condition)
        else:
            place.store.put_unguarded("key", b"third", **condition)
    assert place.store.get("key") == (b"second" if place.conditional else b"third")


@pytest.mark.parametrize("probed", [False, True], ids=["not probed", "probed"])
def test_create__of_eight_at_once_one_wins(guarded_place: Place, probed: bool) -> None:
    store = guarded_place.store
    if probed:
        probe(store)
    start = Barrier(8)

    def create(number: int) -> bool:
        start.wait(10)
        try:
            store.put("claim", f"writer {number}".encode(), create=True)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert store.get("claim") == f"writer {won.index(True)}".encode()


def test_if_match__no_count_is_lost_between_writers(guarded_place: Place) -> None:
    store = guarded_place.store
    store.put("count", b"0")

    def add(_: int) -> None:
        for _attempt in range(500):
            value, etag = store.get_with_etag("count")
            try:
                store.put("count", str(int(value) + 1).encode(), if_match=etag)
                return
            except ConflictError:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    assert store.get("count") == b"12"


def test_get_file__is_whole_and_hashed(store: Store, tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_000
    store.put("weights.pt", data)
    path = tmp_path / "new" / "folder" / "weights.pt"
    digest = hashlib.sha256(data).hexdigest()
    assert store.get_file("weights.pt", path, sha256=digest, size_bytes=len(data)) == digest
    assert path.read_bytes() == data
    assert [entry.name for entry in path.parent.iterdir()] == ["weights.pt"]


@pytest.mark.parametrize(
    ("promise", "words"), [({"sha256": "0" * 64}, "SHA-256 is"), ({"size_bytes": 4}, "5 bytes came, 4 were promised")]
)
def test_get_file__other_bytes_than_promised_never_get_the_name(
    store: Store, tmp_path: Path, promise: dict[str, object], words: str
) -> None:
    store.put("weights.pt", b"bytes")
    path = tmp_path / "weights.pt"
    path.write_bytes(b"kept")
    with pytest.raises(IntegrityError, match=words) as caught:
        store.get_file("weights.pt", path, **promise)  # type: ignore[arg-type]
    assert caught.value.where == f"{store.uri}/weights.pt"
    assert path.read_bytes() == b"kept"
    assert not list(tmp_path.glob(".treering-tmp-*"))


def test_get_file__missing_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.put("other", b"x")
    with pytest.raises(NotFoundError):
        store.get_file("weights.pt", tmp_path / "target" / "weights.pt")
    assert list((tmp_path / "target").iterdir()) == []


def test_put_file__round_trips_and_creates_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"w" * 3_000_000)
    etag = store.put_file("weights.pt", path, create=True)
    assert store.stat("weights.pt") == ObjectInfo("weights.pt", 3_000_000, etag)
    with pytest.raises(ConflictError):
        store.put_file("weights.pt", path, create=True)
    assert store.put_file("weights.pt", path)
    assert hashlib.sha256(store.get("weights.pt")).hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
