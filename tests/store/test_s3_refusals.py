"""What a user gets wrong about an S3 store, and what the error then says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.programs import free_port
from tests.plugins.s3_servers import S3Bucket, S3Server, running, use
from treering_api.errors import BadSpecError, StoreError, TreeringError
from treering_trainer.store import (
    AccessDeniedError,
    ConflictError,
    Connection,
    IntegrityError,
    NoStoreError,
    NotFoundError,
    UnreachableError,
    open_store,
    probe,
    push,
    s3,
)
from treering_trainer.store.answers import Answer, explain


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


def test_connection_refused__is_said_soon(s3_server: S3Bucket) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    store, start_s = open_store("s3://bucket/prefix", Connection(endpoint=endpoint)), time.monotonic()
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        store.get("key")
    assert time.monotonic() - start_s < 20
    assert caught.value.where == "s3://bucket"
    assert endpoint in caught.value.found


def test_unknown_host__is_said_soon(s3_server: S3Bucket) -> None:
    start_s = time.monotonic()
    with pytest.raises(UnreachableError, match="does not answer"):
        open_store("s3://bucket", Connection(endpoint="http://no-such-host.invalid")).list()
    assert time.monotonic() - start_s < 20


def test_silent_server__is_said_soon(
    s3_server: S3Bucket, silent_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    longest_s = s3._QUICK_ATTEMPTS * max(s3._CONNECT_TIMEOUT_S, s3._QUICK_READ_TIMEOUT_S)
    longest_pauses_s = sum(2**attempt for attempt in range(s3._QUICK_ATTEMPTS - 1))
    assert longest_s + longest_pauses_s < 20
    monkeypatch.setattr(s3, "_QUICK_READ_TIMEOUT_S", 0.2)  # the sum above is the promise; no need to sit it out
    store, start_s = open_store("s3://bucket", Connection(endpoint=f"http://127.0.0.1:{silent_port}")), time.monotonic()
    (tmp_path / "x").touch()
    with pytest.raises(UnreachableError, match="does not answer"):
        push(store, dict.fromkeys(map(str, range(20)), tmp_path / "x"), workers=8)
    assert time.monotonic() - start_s < longest_pauses_s + 6, "eight threads wait together, not one after the other"


@pytest.mark.parametrize("method", ["get", "stat", "list", "delete", "put", "probe"])
def test_missing_bucket__is_said_whatever_is_asked(s3_server: S3Bucket, method: str) -> None:
    store = open_store("s3://no-such-bucket/prefix", Connection(endpoint=s3_server.endpoint))
    with pytest.raises(NoStoreError, match="no such bucket at http") as caught:
        probe(store) if method == "probe" else getattr(store, method)("key", *([b"x"] if method == "put" else []))
    assert caught.value.where == "s3://no-such-bucket"


@pytest.mark.parametrize(
    ("name", "words"),
    [("AWS_SECRET_ACCESS_KEY", "the secret key is wrong"), ("AWS_ACCESS_KEY_ID", "the access key is unknown")],
)
@pytest.mark.parametrize("method", ["get", "list", "probe"])
def test_wrong_credentials__are_told_apart(
    rclone: S3Server, monkeypatch: pytest.MonkeyPatch, name: str, words: str, method: str
) -> None:
    bucket = use(rclone, monkeypatch)
    monkeypatch.setenv(name, "wrong")
    store = open_store(bucket.uri, Connection(endpoint=bucket.endpoint))
    with pytest.raises(AccessDeniedError, match=words) as caught:
        probe(store) if method == "probe" else getattr(store, method)("key")
    assert "credentialsSecret" in caught.value.mend
    assert rclone.secret_key not in str(caught.value)


def test_no_credentials__names_where_they_are_looked_for(s3_server: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(AccessDeniedError, match="no usable credentials") as caught:
        open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint)).get("key")
    assert "AWS_ACCESS_KEY_ID" in caught.value.mend
    assert "spec.store.credentialsSecret" in caught.value.mend


def test_half_credentials__are_no_credentials(s3_server: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessDeniedError, match="no usable credentials"):
        open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint)).get("key")


def test_profile_that_is_none__is_an_access_error(s3_server: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(AccessDeniedError, match="no-such-profile"):
        open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint)).get("key")


@pytest.fixture
def secure_rclone(tmp_path: Path) -> Iterator[tuple[S3Server, Path]]:
    """rclone behind TLS with a certificate of its own, and that certificate."""
    key, certificate, objects, port = tmp_path / "key.pem", tmp_path / "ca.pem", tmp_path / "objects", free_port()
    objects.mkdir()
    (objects / "bucket").mkdir()
    subject = ["-subj", "/CN=treering-test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files],
        check=True,
        capture_output=True,
    )
    arguments = ["serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{port}", "--auth-key", "key,secret"]
    tls = ["--cert", str(certificate), "--key", str(key)]
    with running("rclone", [*arguments, *tls, str(objects)], {}, port, tmp_path):
        yield S3Server("rclone", f"https://127.0.0.1:{port}", "key", "secret", conditional=False), certificate


def test_certificate__of_an_own_authority_is_trusted_when_named(
    secure_rclone: tuple[S3Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, authority = secure_rclone
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UnreachableError, match="is not trusted") as caught:
        open_store("s3://bucket", Connection(endpoint=server.endpoint)).list()
    assert "spec.store.certificateAuthority" in caught.value.mend
    trusting = open_store("s3://bucket", Connection(endpoint=server.endpoint, certificate_authority=authority))
    trusting.put("key", b"x", create=True)
    assert trusting.get("key") == b"x"


def test_https_to_a_plain_server__is_unreachable(s3_server: S3Bucket) -> None:
    with pytest.raises(UnreachableError, match=r"certificate|does not answer"):
        open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint.replace("http:", "https:"))).list()


def test_endpoint__comes_from_the_environment_too(s3_server: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    store = open_store(s3_server.uri)
    store.put("key", b"x")
    assert store.get("key") == b"x"


@pytest.mark.parametrize("checksums", ["auto", "whenRequired", "whenSupported"])
def test_checksums__every_setting_round_trips(s3_server: S3Bucket, checksums: str) -> None:
    connection = Connection(endpoint=s3_server.endpoint, checksums=checksums)  # type: ignore[arg-type]
    store = open_store(s3_server.uri, connection)
    store.put("key", b"x" * 100_000, create=True)
    assert store.get("key") == b"x" * 100_000


def test_put__folder_markers_are_no_objects(s3_server: S3Bucket) -> None:
    s3_server.server.client().put_object(Bucket=s3_server.bucket, Key="images/")
    store = open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint))
    store.put("images/a.jpg", b"x")
    assert [info.key for info in store.list()] == ["images/a.jpg"]
    assert [info.key for info in store.at("images").list()] == ["a.jpg"]


@pytest.mark.parametrize("key", ["images//a.jpg", "../a.jpg", "/a.jpg"])
def test_list__a_key_that_is_no_file_is_loud(s3_server: S3Bucket, key: str) -> None:
    s3_server.server.client().put_object(Bucket=s3_server.bucket, Key=key, Body=b"x")
    with pytest.raises(StoreError, match="can't be a file"):
        open_store(s3_server.uri, Connection(endpoint=s3_server.endpoint)).list()


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("NoSuchKey", 404, NotFoundError, "no such object"),
        ("404", 404, NotFoundError, "no such object"),
        ("NoSuchBucket", 404, NoStoreError, "Create the bucket"),
        ("AccessDenied", 403, AccessDeniedError, "s3:PutObject"),
        ("403", 403, AccessDeniedError, "may not do this"),
        ("ExpiredToken", 400, AccessDeniedError, "have expired"),
        ("RequestTimeTooSkewed", 403, AccessDeniedError, "clock"),
        ("PermanentRedirect", 301, BadSpecError, r"spec\.store\.region"),
        ("PreconditionFailed", 412, ConflictError, "nothing was written"),
        ("ConditionalRequestConflict", 409, ConflictError, "nothing was written"),
        ("BadDigest", 400, IntegrityError, "damaged"),
        ("NotImplemented", 501, StoreError, r"spec\.store\.checksums"),
        ("XMinioStorageFull", 507, StoreError, "the store is full"),
        ("SlowDown", 503, UnreachableError, "asked 10 times"),
        ("Strange", 418, StoreError, "418 Strange: said so"),
    ],
)
def test_explain__says_what_to_do(code: str, status: int, kind: type[TreeringError], words: str) -> None:
    error = explain(Answer(code, status, "said so", retries=9), "s3://bucket/key")
    assert type(error) is kind
    assert error.where == "s3://bucket/key"
    assert re.search(words, str(error))
