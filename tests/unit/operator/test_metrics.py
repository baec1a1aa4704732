from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.operator.objects import line
from treering_api.metrics import CATALOGUE
from treering_operator.metrics import Metrics, Sources

STATUS: dict[str, Any] = {
    "state": "Training",
    "mirror": {"round": 3},
    "outstanding": 2,
    "progress": {"percent": 42, "etaSeconds": 60},
    "map50": 0.9,
    "map50Before": 0.8,
    "forgetting": -0.1,
    "measured": {"drift": 0.9, "warningCount": 2},
    "gpuSeconds": 120.0,
    "model": {"round": 3},
    "rounds": [
        {
            "round": 3,
            "map50Before": 0.8,
            "forgetting": -0.1,
            "verdict": "published",
            "startTime": "2026-11-24T10:00:00Z",
            "completionTime": "2026-11-24T10:10:00Z",
        },
    ],
}


def exposed(lines: list[dict[str, Any]]) -> tuple[Metrics, Any]:
    metrics = Metrics(Sources(lambda: lines, lambda: {"jobs": 3.0}, lambda: 7, lambda: True), "1.2.3")

    def read() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        families = text_string_to_metric_families(metrics.text().decode())
        return {
            (one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples
        }

    return metrics, read


def names(samples: dict[tuple[str, Any], float]) -> set[str]:
    return {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in samples}


def test_metrics__are_the_catalogue_and_nothing_else() -> None:
    metrics, read = exposed([line(**STATUS)])
    metrics.failed("Conflict")
    assert names(read()) == {row.name for row in CATALOGUE if row.source == "operator"}


def test_metrics__of_a_line_go_with_it() -> None:
    lines = [line(**STATUS)]
    _, read = exposed(lines)
    whose = (("line", "cards"), ("namespace", "default"))
    samples = read()
    assert samples["treering_line_progress_ratio", whose] == 0.42
    assert samples["treering_line_round_duration_seconds", whose] == 600
    assert samples["treering_line_map50_ratio", (*whose, ("when", "before"))] == 0.8
    assert samples["treering_line_drift_ratio", whose] == 0.9
    assert samples["treering_line_warnings", whose] == 2
    lines.clear()
    assert not [key for key in read() if ("line", "cards") in key[1]]


def test_metrics__a_rejected_candidate_is_no_loss() -> None:
    rejected = {"round": 4, "map50Before": 0.85, "forgetting": 0.4, "verdict": "rejected"}
    later = STATUS | {"map50Before": 0.85, "forgetting": 0.4, "rounds": [*STATUS["rounds"], rejected]}
    _, read = exposed([line(**later)])
    whose = (("line", "cards"), ("namespace", "default"))
    assert read()["treering_line_forgetting_ratio", whose] == -0.1
    assert read()["treering_line_map50_ratio", (*whose, ("when", "before"))] == 0.8


def test_metrics__a_line_without_a_status_is_pending() -> None:
    _, read = exposed([line()])
    assert read()["treering_lines", (("state", "Pending"),)] == 1
    assert read()["treering_lines", (("state", "Training"),)] == 0


def test_metrics__counters_count_and_have_few_labels() -> None:
    metrics, read = exposed([])
    metrics.ended(("published",), 30.0)
    metrics.ended(("something new",), 5.0)
    assert read()["treering_rounds_total", (("result", "published"),)] == 1
    assert read()["treering_gpu_seconds_total", ()] == 35
    assert len([key for key in read() if key[0] == "treering_rounds_total"]) == 3
