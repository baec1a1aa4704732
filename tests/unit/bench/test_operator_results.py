"""The figures that were measured last: what the operator promises holds in them, and the page shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.operator.figures import table

BENCH = Path(__file__).parents[3] / "bench"
RESULTS: dict[str, Any] = json.loads((BENCH / "results" / "operator.json").read_text())
OURS, PEERS = RESULTS["sides"]["treering"], RESULTS["sides"]["kubeflow"]
MEMORY_MIB = 150
RESYNC_S = 30
LATENCY_S = 1.0


def test_load__is_the_promised_one() -> None:
    assert (RESULTS["load"]["lines"], RESULTS["load"]["rate"]) == (1000, 20)


def test_latency__is_below_a_second_and_below_the_peers() -> None:
    ours, peers = OURS["events"]["job"], PEERS["events"]["job"]
    assert ours["missing"] == 0
    assert ours["p99_s"] < min(LATENCY_S, peers["p99_s"])


def test_burst__all_jobs_are_there_no_later_than_the_peers() -> None:
    assert OURS["burst"]["job"]["missing"] == 0
    assert OURS["burst"]["job"]["all_s"] <= PEERS["burst"]["job"]["all_s"]


@pytest.mark.parametrize("when", ["rest_mib", "peak_mib", "restarted_peak_mib"])
def test_memory__stays_small(when: str) -> None:
    assert OURS["memory"][when] < MEMORY_MIB


def test_restart__all_changes_are_acted_on_soon() -> None:
    assert OURS["restart"]["job"]["all_s"] < RESYNC_S


def test_page__shows_these_figures() -> None:
    columns = [("treering", "job"), ("kubeflow", "jobset"), ("kubeflow", "job")]
    assert table(RESULTS["sides"], columns) in (BENCH / "README.md").read_text()
