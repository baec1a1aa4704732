"""Keys that could leave the root; the guard is the same before every store, so one store is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from treering_api.errors import BadSpecError, StoreError
from treering_trainer.store import open_store
from treering_trainer.store.keys import check_found

BAD = {
    "empty": "",
    "absolute": "/etc/passwd",
    "parent": "..",
    "parent inside": "a/../../b",
    "double slash": "a//b",
    "dot": "a/./b",
    "nul": "a\0b",
    "newline": "a\nb",
    "surrogate": "a\udc80",
    "long name": "k" * 300,
    "long key": "x/" * 600 + "x",
    "lock": "a/.treering-lock",
    "unfinished": ".treering-tmp-1",
}


@pytest.mark.parametrize("key", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("method", ["get", "get_with_etag", "stat", "delete", "at", "put", "get_file", "put_file"])
def test_keys__what_could_leave_the_root_is_refused(tmp_path: Path, key: str, method: str) -> None:
    store = open_store((tmp_path / "store").as_uri())
    local = tmp_path / "local"
    local.write_bytes(b"x")
    more = {"put": (b"x",), "get_file": (local,), "put_file": (local,)}.get(method, ())
    with pytest.raises(BadSpecError, match="can't be a key"):
        getattr(store, method)(key, *more)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("prefix", ["/", "..", "a/../b", "a//b"])
def test_list__a_prefix_that_could_leave_the_root_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(BadSpecError, match="can't be a key"):
        open_store(tmp_path.as_uri()).list(prefix)


def test_check_found__a_listed_key_that_is_no_file_is_loud() -> None:
    with pytest.raises(StoreError, match=r"holds an object '\.\./x' that can't be a file"):
        check_found("../x", "s3://bucket/prefix")
