from __future__ import annotations

from pathlib import Path

import pytest

from treering_api.errors import BadSpecError
from treering_api.model import StoreSpec
from treering_trainer.store import Connection, open_store
from treering_trainer.store.file import FileStore
from treering_trainer.store.s3 import S3Store


@pytest.mark.parametrize(
    ("uri", "kind", "root"),
    [
        ("file:///data/lines", FileStore, "file:///data/lines"),
        ("file:///data/lines/", FileStore, "file:///data/lines"),
        ("file://localhost/data/a%20b", FileStore, "file:///data/a%20b"),
        ("s3://bucket", S3Store, "s3://bucket"),
        ("s3://bucket/", S3Store, "s3://bucket"),
        ("s3://my.bucket-1/a/b c/", S3Store, "s3://my.bucket-1/a/b c"),
    ],
)
def test_open_store__takes(uri: str, kind: type, root: str) -> None:
    store = open_store(uri)
    assert isinstance(store, kind)
    assert store.uri == root


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "is not the URI of a store"),
        ("data/lines", "is not the URI of a store"),
        ("/data/lines", "Did you mean file:///data/lines"),
        ("gs://bucket/prefix", "is not the URI of a store"),
        ("S3://bucket", "is not the URI of a store"),
        ("file:/data", "is not the URI of a store"),
        ("file://data/lines", "three slashes"),
        ("file://", "three slashes"),
        ("file:///", "can't be a store's folder"),
        ("file:///data/../etc", "can't be a store's folder"),
        ("file:///data/%2e%2e/etc", "can't be a store's folder"),
        ("file:///data%00", "can't be a store's folder"),
        ("s3://", "can't be a bucket's name"),
        ("s3:///prefix", "can't be a bucket's name"),
        ("s3://b", "can't be a bucket's name"),
        ("s3://buc ket/x", "can't be a bucket's name"),
        ("s3://bucket/a//b", "can't be a key"),
        ("s3://bucket/../other", "can't be a key"),
    ],
)
def test_open_store__refuses(uri: str, words: str) -> None:
    with pytest.raises(BadSpecError, match=words):
        open_store(uri)


def test_open_store__never_repeats_a_secret() -> None:
    with pytest.raises(BadSpecError, match="has credentials in it") as caught:
        open_store("s3://AKIAEXAMPLE:very-secret@bucket/prefix")
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["localhost:9000", "ftp://host", "http://", "https://user:very-secret@host", "s3://bucket"]
)
def test_open_store__refuses_an_endpoint_that_is_none(endpoint: str) -> None:
    with pytest.raises(BadSpecError, match=r"spec\.store\.endpoint: .* is not the address of a server") as caught:
        open_store("s3://bucket", Connection(endpoint=endpoint))
    assert "very-secret" not in str(caught.value)


def test_open_store__refuses_a_certificate_authority_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSpecError, match="certificateAuthority"):
        open_store("s3://bucket", Connection(endpoint="https://host", certificate_authority=tmp_path / "ca.pem"))


def test_connection__takes_over_what_the_spec_says(tmp_path: Path) -> None:
    spec = StoreSpec(
        uri="s3://bucket", endpoint="http://host:9000", region="eu", path_style=False, checksums="whenSupported"
    )
    authority = tmp_path / "ca.pem"
    assert Connection.from_spec(spec, authority) == Connection(
        "http://host:9000", "eu", False, "whenSupported", authority
    )
    assert Connection.from_spec(StoreSpec(uri="s3://bucket")) == Connection()
