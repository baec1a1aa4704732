from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.operator.resources.cases import line
from treering_api import Status, read
from treering_operator.actions import Notice
from treering_operator.resources.event import event
from treering_operator.resources.status import status_body

NOW = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)
NOTICE = Notice(warning=False, reason="RoundPublished", message="round 1 was published", key="published/1")


def test_event__is_named_after_its_key() -> None:
    first, again = (event(line({}), NOTICE, moment, "pod-1") for moment in (NOW, NOW.replace(hour=9)))
    other = event(line({}), replace(NOTICE, key="published/2"), NOW, "pod-1")
    assert first["metadata"]["name"] == again["metadata"]["name"] != other["metadata"]["name"]
    assert first["metadata"]["name"].startswith("cards.")


def test_event__of_a_line_made_anew_is_told_again() -> None:
    second = line({})
    second["metadata"]["uid"] = "another"
    names = {event(one, NOTICE, NOW, "pod-1")["metadata"]["name"] for one in (line({}), second)}
    assert len(names) == 2


def test_event__is_about_the_line() -> None:
    told = event(line({}), replace(NOTICE, warning=True), NOW, "pod-1")
    about = told["involvedObject"]
    assert (about["kind"], about["name"], told["type"], told["lastTimestamp"]) == (
        "IncrementalTrain",
        "cards",
        "Warning",
        "2026-11-24T01:02:03Z",
    )


def test_event__long_messages_are_cut_at_a_character() -> None:
    for message in ("x" * 5000, "ü" * 700, "💥" * 300):
        text = event(line({}), replace(NOTICE, message=message), NOW, "p")["message"]
        assert len(text.encode()) <= 1024
        assert text.endswith("…")
        assert set(text[:-1]) == {message[0]}


def test_status_body__is_what_the_line_reads_back() -> None:
    status = Status(observed_generation=3, state="UpToDate", message="up to date", gpu_seconds=1.5)
    body = status_body(line({}), status)
    assert "null" not in json.dumps(body)
    assert body["metadata"]["resourceVersion"] == "4711"
    assert read(line({}) | {"status": body["status"]}, "case").status == status
