"""What Prometheus gets, read back with its own parsers from the real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from treering_api.metrics import CATALOGUE
from treering_trainer.progress import Event, Measured, ProgressServer, ProgressState, RoundFinished, RoundStarted
from treering_trainer.progress.exposition import MEASURED, TRAINER_METRICS, samples

if TYPE_CHECKING:
    from tests.unit.progress.conftest import Clock

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def get(server: ProgressServer, accept: str = "*/*") -> tuple[str, str]:
    """Content type and body of `/metrics`."""
    with urlopen(Request(f"{server.url}/metrics", headers={"Accept": accept}), timeout=5) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


def until(events: Iterator[Event], last: type[Event]) -> Iterator[Event]:
    for event in events:
        yield event
        if isinstance(event, last):
            return


def scrape(server: ProgressServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = get(server)[1]
    found = [sample for family in parse_text(text) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


def test_metrics__before_a_round_have_types_and_no_samples(server: ProgressServer) -> None:
    assert scrape(server) == {}
    text = get(server)[1]
    declared = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert declared == {metric.name for metric in TRAINER_METRICS}


def test_metrics__are_those_of_the_catalogue(
    server: ProgressServer, state: ProgressState, whole_round: Iterator[Event]
) -> None:
    for event in until(whole_round, RoundFinished):
        state(event)
    state(Measured("treering_round_gpu_seconds_total", 42.0))
    text = get(server)[1]
    catalogue = {metric.name: metric for metric in CATALOGUE if metric.source == "trainer"}
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)", text, re.MULTILINE))
    assert types == {name: "gauge" if metric.kind == "info" else metric.kind for name, metric in catalogue.items()}
    assert helps == {name: metric.help for name, metric in catalogue.items()}
    for name, labels in scrape(server):
        assert {label for label, _ in labels} == set(catalogue[name].labels)


def test_metrics__each_has_a_value_in_a_round(
    server: ProgressServer, state: ProgressState, whole_round: Iterator[Event]
) -> None:
    seen: set[str] = set()
    for event in whole_round:
        state(event)
        snapshot = state.snapshot()
        seen |= {metric.name for metric in TRAINER_METRICS if samples(metric.name, snapshot)}
    state(Measured("treering_round_gpu_seconds_total", 42.0))
    seen |= {name for name, _ in scrape(server)}
    assert seen == {metric.name for metric in TRAINER_METRICS}


def test_metrics__hold_the_numbers_of_the_round(
    server: ProgressServer, state: ProgressState, whole_round: Iterator[Event], clock: Clock
) -> None:
    started = clock.now_s
    for event in whole_round:
        state(event)
        if state.snapshot().done == 200 and state.snapshot().epoch == 2:
            break
    found = scrape(server)
    line = ("line", "cards")
    assert found[("treering_round_stage_info", (line, ("stage", "train")))] == 1
    assert found[("treering_round_epoch", (line,))] == 2
    assert found[("treering_round_epochs", (line,))] == 4
    assert found[("treering_round_images_total", (line,))] == 200
    assert found[("treering_round_images_per_second", (line,))] == pytest.approx(10)
    assert found[("treering_round_progress_ratio", (line,))] == pytest.approx((12 + 37) / 100)
    assert found[("treering_round_loss", (line, ("loss", "box")))] == 0.75
    assert found[("treering_round_findings", (line, ("severity", "quarantine")))] == 2
    assert found[("treering_round_stage_duration_seconds", (line, ("stage", "fetch")))] == 2.0
    assert found[("treering_round_start_timestamp_seconds", (line,))] == started
    assert ("treering_round_map50_ratio", (line, ("when", "after"))) not in found


def test_metrics__the_result_fills_in_what_nobody_measured(server: ProgressServer, state: ProgressState) -> None:
    state(RoundStarted("cards", 2, 1, ("a",), "first"))
    state(Measured("treering_round_map50_ratio", 0.9, {"when": "after"}))
    state(RoundFinished({"map50": 0.8, "map50Before": 0.7, "forgetting": None, "gpuSeconds": 12.5}))
    found = scrape(server)
    line = ("line", "cards")
    assert found[("treering_round_map50_ratio", (line, ("when", "after")))] == 0.9
    assert found[("treering_round_map50_ratio", (line, ("when", "before")))] == 0.7
    assert found[("treering_round_gpu_seconds_total", (line,))] == 12.5
    assert ("treering_round_forgetting_ratio", (line,)) not in found


def test_metrics__in_openmetrics_keep_their_types(
    server: ProgressServer, state: ProgressState, whole_round: Iterator[Event]
) -> None:
    for event in whole_round:
        state(event)
    kind, body = get(server, OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    parse = openmetrics.text_string_to_metric_families
    types = {family.name: family.type for family in parse(body)}  # type: ignore[no-untyped-call]
    assert types["treering_round_images"] == "counter"
    assert types["treering_round_stage"] == "info"
    assert types["treering_round_progress_ratio"] == "gauge"


def test_metrics__a_label_with_quotes_and_breaks_is_escaped(server: ProgressServer, state: ProgressState) -> None:
    odd = 'li"ne\\\nnext'
    state(RoundStarted(odd, 1, 1, ("a",), "first"))
    assert scrape(server)[("treering_round_number", (("line", odd),))] == 1


def test_measured__is_what_no_other_event_carries() -> None:
    assert set(MEASURED) == {
        "treering_round_findings",
        "treering_round_map50_ratio",
        "treering_round_forgetting_ratio",
        "treering_round_gpu_seconds_total",
        "treering_round_drift_ratio",
        "treering_round_warnings",
        "treering_round_cases",
        "treering_round_refused_exports",
    }
