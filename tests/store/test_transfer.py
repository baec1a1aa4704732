"""Whole data sets, both ways."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.plugins.s3_servers import S3Bucket
from tests.store.conftest import Place
from treering_api.errors import ResumableError
from treering_trainer.store import (
    ConflictError,
    Connection,
    NotFoundError,
    Pulled,
    Store,
    Transferred,
    open_store,
    pull,
    push,
)

FILES = {f"images/train/{number:03}.jpg": bytes([number]) * (100 + number) for number in range(20)} | {
    "labels/train/000.txt": b"",
    "names.json": b'["a"]',
}
SIZE_BYTES = sum(map(len, FILES.values()))


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Path]:
    paths = {key: tmp_path / "source" / key for key in FILES}
    for key, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[key])
    return paths


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Path]:
    return {key: tmp_path / "work" / key for key in FILES}


def read(wanted: dict[str, Path]) -> dict[str, bytes]:
    return {key: path.read_bytes() for key, path in wanted.items()}


def test_push_and_pull__bring_everything_zero_bytes_included(
    store: Store, source: dict[str, Path], wanted: dict[str, Path]
) -> None:
    pushed = push(store, source)
    assert (pushed.objects, pushed.size_bytes) == (len(FILES), SIZE_BYTES)
    assert pull(store, wanted) == Pulled(len(FILES), SIZE_BYTES, from_cache=0)
    assert read(wanted) == FILES


def test_push__create_refuses_what_is_there(place: Place, source: dict[str, Path]) -> None:
    place.store.put("names.json", b"theirs")
    with pytest.raises(ConflictError, match=r"names\.json"):
        push(place.store, source, create=True)
    assert place.store.get("names.json") == b"theirs"


def test_pull__again_fetches_only_what_changed(store: Store, source: dict[str, Path], wanted: dict[str, Path]) -> None:
    push(store, source)
    pull(store, wanted)
    assert pull(store, wanted) == Pulled(len(FILES), 0, from_cache=len(FILES))
    store.put("names.json", b'["b"]')
    told: list[Transferred] = []
    assert pull(store, wanted, on_object=told.append) == Pulled(len(FILES), 5, from_cache=len(FILES) - 1)
    assert [one for one in told if not one.from_cache] == [Transferred("names.json", 5, from_cache=False)]
    assert read(wanted) == {**FILES, "names.json": b'["b"]'}


@pytest.mark.parametrize("how", ["removed", "other bytes", "cut off", "replaced by a folder's link"])
def test_pull__a_file_touched_since_is_fetched_again(
    tmp_path: Path, source: dict[str, Path], wanted: dict[str, Path], how: str
) -> None:
    store = open_store((tmp_path / "source").as_uri())
    pull(store, wanted)
    path = wanted["images/train/005.jpg"]
    if how == "removed":
        path.unlink()
    elif how == "other bytes":
        path.write_bytes(b"!" * path.stat().st_size)
    elif how == "cut off":
        os.truncate(path, 3)
    else:
        path.unlink()
        path.symlink_to(tmp_path / "nowhere")
    assert pull(store, wanted).from_cache == len(FILES) - 1
    assert read(wanted) == FILES


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 2, "files": {}}', b"\xff\xfe"])
def test_pull__an_index_that_cannot_be_read_costs_only_time(
    tmp_path: Path, source: dict[str, Path], wanted: dict[str, Path], content: bytes
) -> None:
    store = open_store((tmp_path / "source").as_uri())
    pull(store, wanted)
    (tmp_path / "work" / ".treering-pull.json").write_bytes(content)
    assert pull(store, wanted).from_cache == 0
    assert pull(store, wanted).from_cache == len(FILES)


def test_pull__another_store_with_the_same_keys_is_another(tmp_path: Path, wanted: dict[str, Path]) -> None:
    one, two = (open_store((tmp_path / name).as_uri()) for name in ("one", "two"))
    one.put("names.json", b"one")
    two.put("names.json", b"two")
    only = {"names.json": wanted["names.json"]}
    pull(one, only)
    assert pull(two, only).from_cache == 0
    assert wanted["names.json"].read_bytes() == b"two"


def test_pull__nothing_is_nothing(tmp_path: Path) -> None:
    assert pull(open_store((tmp_path / "not there").as_uri()), {}) == Pulled(0, 0, 0)


@pytest.mark.parametrize("others", [0, 30], ids=["asked one by one", "from a listing"])
def test_pull__a_missing_object_is_named(place: Place, wanted: dict[str, Path], tmp_path: Path, others: int) -> None:
    place.store.put("here", b"x")
    asked = {"no/such.jpg": tmp_path / "work" / "a"} | {f"x/{n}": tmp_path / "work" / str(n) for n in range(others)}
    with pytest.raises(NotFoundError) as caught:
        pull(place.store, asked)
    assert caught.value.where == f"{place.store.uri}/no/such.jpg"


def test_pull__stops_at_the_first_error_and_keeps_what_came(
    tmp_path: Path, source: dict[str, Path], wanted: dict[str, Path]
) -> None:
    store = open_store((tmp_path / "source").as_uri())
    listing = list(store.list())
    keys = sorted(FILES)
    (tmp_path / "source" / keys[5]).unlink()
    ordered = {key: wanted[key] for key in keys}
    with pytest.raises(NotFoundError, match=keys[5]):
        pull(store, ordered, workers=1, listing=listing)
    came = [key for key in keys if wanted[key].exists()]
    assert came[:5] == keys[:5]
    assert len(came) <= 5 + 2, "what was under way, and no more"
    store.put(keys[5], b"again")
    assert pull(store, ordered).from_cache == len(came)


def test_pull__an_observer_that_fails_stops_it(
    tmp_path: Path, source: dict[str, Path], wanted: dict[str, Path]
) -> None:
    def fail(_: Transferred) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(open_store((tmp_path / "source").as_uri()), wanted, workers=2, on_object=fail)
    assert sum(path.exists() for path in wanted.values()) < len(FILES)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("transfer")]


def test_pull__onto_a_full_disk_says_so(full_disk: Path, s3_server: S3Bucket) -> None:
    store = open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint))
    store.put("large", b"x" * 200_000)
    with pytest.raises(ResumableError, match="disk full"):
        pull(store, {"large": full_disk / "large"})
    assert not (full_disk / "large").exists()
    assert not list(full_disk.glob(".treering-tmp-*"))


def test_list__more_than_a_page(s3_server: S3Bucket, tmp_path: Path) -> None:
    store = open_store(f"{s3_server.uri}/many", Connection(endpoint=s3_server.endpoint))
    empty = tmp_path / "empty.txt"
    empty.touch()
    keys = [f"labels/{number:04}.txt" for number in range(1005)]
    push(store, dict.fromkeys(keys, empty))
    assert [info.key for info in store.list()] == keys
    wanted = {key: tmp_path / "work" / key for key in keys[-20:]}
    assert pull(store, wanted).objects == 20
