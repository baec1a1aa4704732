# ruff: noqa: RUF001 - pages use true minus signs and dashes
from __future__ import annotations

import pytest

from treering_trainer.report import wording


@pytest.mark.parametrize(
    ("change", "text", "trend"),
    [
        pytest.param(0.0304, "+3.0", "better", id="gain"),
        pytest.param(-0.012, "−1.2", "worse", id="loss"),
        pytest.param(-0.0004, "±0.0", "same", id="rounds to nothing"),
        pytest.param(None, "–", "unknown", id="not measured"),
        pytest.param(float("nan"), "–", "unknown", id="not a number"),
    ],
)
def test_points__sign_and_trend_agree(change: float | None, text: str, trend: str) -> None:
    assert wording.points(change) == text
    assert wording.trend(change) == trend


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_duration__is_what_people_say(duration_s: float, text: str) -> None:
    assert wording.duration(duration_s) == text


@pytest.mark.parametrize(("size_bytes", "text"), [(512, "512 B"), (6_200_000, "6.2 MB"), (4 * 10**15, "4,000.0 TB")])
def test_size__decimal_units(size_bytes: int, text: str) -> None:
    assert wording.size(size_bytes) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("2026-11-23T21:52:33Z", "2026-11-23 21:52 UTC"),
        ("2026-11-24T02:52:33+05:00", "2026-11-23 21:52 UTC"),
        ("yesterday", "yesterday"),
    ],
)
def test_moment__is_utc_to_the_minute(given: str, text: str) -> None:
    assert wording.moment(given) == text


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")],
)
def test_listed__counts_the_rest(names: list[str], text: str) -> None:
    assert wording.listed(names, 3) == text


def test_counted__singular_and_plural() -> None:
    assert wording.counted(1, "box", "boxes") == "1 box"
    assert wording.counted(1200, "box", "boxes") == "1,200 boxes"


def test_short__keeps_both_ends() -> None:
    assert wording.short("a" * 30 + "b" * 30, 11) == "aaaaa…bbbbb"
    assert wording.short("jack", 11) == "jack"
