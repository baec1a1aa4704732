from typing import Any

import pytest

from bench.operator.figures import latencies, percentile, ratios, table, waits


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1), (0.001, 1)],
    ids=["median", "p99", "largest", "none", "least"],
)
def test_percentile__nearest_rank(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_percentile__no_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_latencies__each_key_from_its_own_start() -> None:
    row = latencies({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 4.0, "another's": 9.0})
    assert row == {"count": 2, "missing": 0, "p50_s": 0.5, "p90_s": 2.0, "p99_s": 2.0, "max_s": 2.0}


def test_latencies__missing_ones_are_never_fast() -> None:
    row = latencies({str(key): 0.0 for key in range(10)}, {str(key): 1.0 for key in range(8)})
    assert (row["missing"], row["p50_s"], row["p90_s"], row["max_s"]) == (2, 1.0, None, None)


def test_waits__from_one_start() -> None:
    assert waits(10.0, ["a", "b"], {"a": 13.0, "b": 11.0}) == {
        "missing": 0, "first_s": 1.0, "p50_s": 1.0, "all_s": 3.0,
    }  # fmt: skip


def test_waits__nothing_came() -> None:
    assert waits(10.0, ["a"], {}) == {"missing": 1, "first_s": None, "p50_s": None, "all_s": None}


def test_ratios__rows_without_both_figures_are_left_out() -> None:
    mine = {"events": {"job": {"p99_s": 0.5, "p50_s": 0.0}}, "memory": {"peak_mib": 100.0}}
    peer = {"events": {"jobset": {"p99_s": 2.0, "p50_s": 1.0}}}
    assert ratios(mine, peer, "job", "jobset") == {"events.child.p99_s": 4.0}


def test_table__a_column_for_each_child() -> None:
    sides: dict[str, dict[str, Any]] = {
        "us": {"events": {"job": {"p99_s": 0.5}}},
        "them": {"events": {"job": {"p99_s": None}}},
    }
    rows = table(sides, [("us", "job"), ("them", "job")]).splitlines()
    assert rows[0] == "| | us (job) | them (job) |"
    assert "| steady events: to child, p99 | 0.500 s | - |" in rows
