"""An S3 server on a bad day. The proxy does each planned fault once, so what is asserted happened."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.plugins.fault_proxy import Fault, FaultProxy
from tests.plugins.s3_servers import S3Bucket
from treering_trainer.store import (
    ConflictError,
    Connection,
    IntegrityError,
    Manifest,
    Store,
    UnreachableError,
    open_store,
    probe,
    pull,
    read_manifest,
    write_manifest,
)

DATA = bytes(range(256)) * 4000
BREAK_OFF: list[Fault] = ["break off"] * 20
CONFLICTS: list[Fault] = ["conflict"] * 6
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(s3_server: S3Bucket, fault_proxy: FaultProxy) -> Store:
    """Behind the proxy, probed, with one object in it."""
    store = open_store(f"{s3_server.uri}/line", Connection(endpoint=fault_proxy.endpoint))
    probe(store)
    store.put("data.bin", DATA)
    fault_proxy.seen.clear()
    return store


def puts(proxy: FaultProxy) -> list[str]:
    return [fault for method, fault in proxy.seen if method == "PUT"]


@pytest.mark.parametrize("fault", ["slow down", "internal error", "lose the answer"])
def test_get__is_asked_again(store: Store, fault_proxy: FaultProxy, fault: Fault) -> None:
    fault_proxy.plan("GET", fault)
    assert store.get("data.bin") == DATA
    fault_proxy.assert_all_happened()


@pytest.mark.parametrize("fault", ["slow down", "internal error", "lose the answer"])
def test_first_request__is_asked_again(s3_server: S3Bucket, fault_proxy: FaultProxy, fault: Fault) -> None:
    fault_proxy.plan("HEAD", fault)
    store = open_store(s3_server.uri, Connection(endpoint=fault_proxy.endpoint))
    assert list(store.list()) == []
    fault_proxy.assert_all_happened()


def test_get__a_body_that_breaks_off_is_read_again(store: Store, fault_proxy: FaultProxy, tmp_path: Path) -> None:
    fault_proxy.plan("GET", "break off", "break off")
    assert store.get_file("data.bin", tmp_path / "data.bin") == DIGEST
    fault_proxy.plan("GET", "break off")
    assert store.get("data.bin") == DATA
    fault_proxy.assert_all_happened()


def test_get__a_body_that_always_breaks_off_is_an_error(store: Store, fault_proxy: FaultProxy, tmp_path: Path) -> None:
    fault_proxy.plan("GET", *BREAK_OFF)
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        store.get_file("data.bin", tmp_path / "data.bin")
    assert caught.value.where == f"{store.uri}/data.bin"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["flip a bit", "shorten"])
def test_get_file__damage_on_the_way_heals(store: Store, fault_proxy: FaultProxy, tmp_path: Path, fault: Fault) -> None:
    fault_proxy.plan("GET", fault)
    assert store.get_file("data.bin", tmp_path / "data.bin", sha256=DIGEST) == DIGEST
    assert (tmp_path / "data.bin").read_bytes() == DATA
    fault_proxy.assert_all_happened()


@pytest.mark.parametrize(("fault", "words"), [("flip a bit", "SHA-256 is"), ("shorten", "512000 bytes came")])
def test_get_file__damage_that_stays_is_an_error(
    store: Store, fault_proxy: FaultProxy, tmp_path: Path, fault: Fault, words: str
) -> None:
    fault_proxy.plan("GET", fault, fault)
    with pytest.raises(IntegrityError, match=words) as caught:
        store.get_file("data.bin", tmp_path / "data.bin", sha256=DIGEST, size_bytes=len(DATA))
    assert caught.value.where == f"{store.uri}/data.bin"
    assert not (tmp_path / "data.bin").exists()
    fault_proxy.assert_all_happened()


def test_pull__a_short_body_of_the_right_length_is_noticed(
    store: Store, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    fault_proxy.plan("GET", "shorten", "shorten")
    with pytest.raises(IntegrityError, match=r"data\.bin: 512000 bytes came, 1024000 were promised"):
        pull(store, {"data.bin": tmp_path / "data.bin"})
    assert not (tmp_path / "data.bin").exists()
    assert pull(store, {"data.bin": tmp_path / "data.bin"}).size_bytes == len(DATA)


@pytest.mark.parametrize("fault", ["slow down", "internal error", "conflict", "lose the answer"])
def test_create__survives(store: Store, fault_proxy: FaultProxy, fault: Fault) -> None:
    fault_proxy.plan("PUT", fault)
    etag = store.put("new", b"mine", create=True)
    assert store.get_with_etag("new") == (b"mine", etag)
    assert puts(fault_proxy) == [fault, ""], "sent once with the fault and once without"


def test_create__from_a_file_whose_answer_got_lost_succeeded(
    store: Store, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes(DATA)
    fault_proxy.plan("PUT", "lose the answer")
    etag = store.put_file("model.pt", tmp_path / "model.pt", create=True)
    assert store.stat("model.pt").etag == etag
    assert puts(fault_proxy) == ["lose the answer", ""]


def test_if_match__whose_answer_got_lost_succeeded(store: Store, fault_proxy: FaultProxy) -> None:
    before = store.put("lineage.json", b"round 1")
    fault_proxy.plan("PUT", "lose the answer")
    after = store.put("lineage.json", b"round 2", if_match=before)
    assert store.get_with_etag("lineage.json") == (b"round 2", after)


def test_create__a_retry_that_meets_someone_elses_object_is_a_conflict(store: Store, fault_proxy: FaultProxy) -> None:
    store.put("claim", b"theirs")
    fault_proxy.plan("PUT", "slow down")
    with pytest.raises(ConflictError):
        store.put("claim", b"mine", create=True)
    assert store.get("claim") == b"theirs"


def test_create__without_a_retry_even_equal_bytes_are_a_conflict(store: Store, fault_proxy: FaultProxy) -> None:
    store.put("claim", b"same", create=True)
    with pytest.raises(ConflictError):
        store.put("claim", b"same", create=True)


def test_create__an_endless_clash_is_a_conflict(store: Store, fault_proxy: FaultProxy) -> None:
    fault_proxy.plan("PUT", *CONFLICTS)
    with pytest.raises(ConflictError):
        store.put("new", b"mine", create=True)
    fault_proxy.assert_all_happened()


def test_write_manifest__whose_answer_got_lost_is_there(store: Store, fault_proxy: FaultProxy) -> None:
    fault_proxy.plan("PUT", "lose the answer")
    sha256 = write_manifest(store, "manifest.json", Manifest(files={}))
    assert read_manifest(store, "manifest.json", sha256=sha256) == Manifest(files={})
