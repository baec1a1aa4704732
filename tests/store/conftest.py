"""The same store in three places, for the tests of what is the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugins.s3_servers import use
from treering_trainer.store import Connection, Store, open_store


@dataclass(frozen=True)
class Place:
    """A fresh store, and whether conditions are kept there by whoever keeps the objects."""

    name: str
    store: Store
    conditional: bool


@pytest.fixture(params=["file", "ministack", "rclone"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return make_place(request, tmp_path, monkeypatch)


@pytest.fixture(params=["file", "ministack"])
def guarded_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Only where races have one winner; that rclone is none of them is what the test of `probe` says."""
    return make_place(request, tmp_path, monkeypatch)


def make_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "file":
        return Place("file", open_store((tmp_path / "store" / "lines" / "demo").as_uri()), conditional=True)
    server = request.getfixturevalue(request.param)
    bucket = use(server, monkeypatch)
    store = open_store(f"{bucket.uri}/lines/demo", Connection(endpoint=bucket.endpoint))
    return Place(request.param, store, server.conditional)


@pytest.fixture
def store(place: Place) -> Store:
    return place.store
