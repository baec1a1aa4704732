"""The operator's metrics: names, kinds and words from the catalogue, values from the reconciles and the line cache.

What is said of a single line is read from its status at each scrape, so that it ends with the line. Counters have
labels of a fixed set only. Served by `server`.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from treering_api.metrics import CATALOGUE
from treering_api.status import State

_ROWS = {row.name: row for row in CATALOGUE if row.source == "operator"}
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATES: tuple[str, ...] = get_args(State)
_REASONS = ("BadSpec", "InternalError", "Forbidden", "Invalid", "NotFound", "Unreachable", "InternalServerError")
"""Reasons that stand at 0 from the start: else the first error of each is no increase. Others come as they come."""
_RESULTS = ("published", "rejected", "failed")
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """Where the values come from that are read at each scrape."""

    lines: Callable[[], Iterable[Line]]
    ages_s: Callable[[], Mapping[str, float]]
    depth: Callable[[], int]
    leads: Callable[[], bool]


class Metrics:
    """Every metric of one operator.

    Args:
        sources: read at each scrape.
        version: of the operator.
    """

    def __init__(self, sources: Sources, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._seconds = Histogram(*_words("operator_reconcile_duration_seconds"), **self._own(), buckets=_BUCKETS_S)
        self._errors = Counter(*_words("operator_reconcile_errors_total"), ["reason"], **self._own())
        self._rounds = Counter(*_words("rounds_total"), ["result"], **self._own())
        self._gpu_seconds = Counter(*_words("gpu_seconds_total"), **self._own())
        build = Gauge(*_words("operator_build_info"), ["version"], **self._own())
        build.labels(version).set(1)
        for reason in _REASONS:
            self._errors.labels(reason)
        for result in _RESULTS:
            self._rounds.labels(result)
        self._registry.register(_Collector(sources))

    def reconciled(self, seconds: float) -> None:
        """A reconcile ended, well or not."""
        self._seconds.observe(seconds)

    def failed(self, reason: str) -> None:
        """A reconcile failed. `reason` is of a fixed set: an error's class or the API server's word."""
        self._errors.labels(reason).inc()

    def ended(self, results: Iterable[str], gpu_seconds: float) -> None:
        """Rounds ended, or GPU time was spent otherwise."""
        for result in results:
            if result in _RESULTS:
                self._rounds.labels(result).inc()
        self._gpu_seconds.inc(max(0.0, gpu_seconds))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)

    def _own(self) -> dict[str, Any]:
        return {"registry": self._registry}


class _Collector:
    """What is read at each scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        yield _gauge("operator_leader", {(): float(self._sources.leads())})
        yield _gauge("operator_queue_depth", {(): float(self._sources.depth())})
        yield _gauge("operator_watch_age_seconds", {(name,): age for name, age in self._sources.ages_s().items()})
        lines = list(self._sources.lines())
        states = Tally(_state(line) for line in lines)
        yield _gauge("lines", {(state,): float(states[state]) for state in _STATES})
        successes = [success for line in lines if (success := _last_success(_status(line))) is not None]
        yield _gauge("last_success_timestamp_seconds", {(): max(successes)} if successes else {})
        yield from _about_lines(lines)


def _about_lines(lines: list[Line]) -> Iterator[Metric]:
    """One family for each metric of single lines."""
    families: dict[str, dict[tuple[str, ...], float]] = {
        name: {} for name in _ROWS if name.startswith("treering_line_")
    }
    for line in lines:
        whose = (line["metadata"]["namespace"], line["metadata"]["name"])
        for name, labels, value in _of_line(line):
            if value is not None:
                families[f"treering_line_{name}"][(*whose, *labels)] = float(value)
    for name, values in families.items():
        yield (_counter if _ROWS[name].kind == "counter" else _gauge)(name.removeprefix("treering_"), values)


def _of_line(line: Line) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
    status = _status(line)
    progress = status.get("progress") or {}
    percent = progress.get("percent")
    yield "state_info", (_state(line),), 1.0
    yield "round", (), (status.get("mirror") or {}).get("round", 0)
    yield "outstanding_increments", (), status.get("outstanding", 0)
    yield "progress_ratio", (), None if percent is None else percent / 100
    yield "eta_seconds", (), progress.get("etaSeconds")
    yield "map50_ratio", ("after",), status.get("map50")
    yield "map50_ratio", ("before",), _round_of_model(status).get("map50Before")
    yield "forgetting_ratio", (), _round_of_model(status).get("forgetting")
    measured = status.get("measured") or {}
    yield "drift_ratio", (), measured.get("drift")
    yield "warnings", (), measured.get("warningCount", 0) if measured else None
    yield "round_duration_seconds", (), _last_duration_s(status)
    yield "gpu_seconds_total", (), status.get("gpuSeconds", 0.0)
    yield "last_success_timestamp_seconds", (), _last_success(status)


def _status(line: Line) -> Mapping[str, Any]:
    status: Mapping[str, Any] = line.get("status") or {}
    return status


def _state(line: Line) -> str:
    return str(_status(line).get("state") or "Pending")


def _round_of_model(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The round that published the line's model: what a rejected candidate would have lost, nobody has lost."""
    number = (status.get("model") or {}).get("round")
    return next((one for one in status.get("rounds") or () if number and one.get("round") == number), {})


def _last_duration_s(status: Mapping[str, Any]) -> float | None:
    last = (status.get("rounds") or [{}])[-1]
    start, end = _unix_s(last.get("startTime")), _unix_s(last.get("completionTime"))
    return None if start is None or end is None else max(0.0, end - start)


def _last_success(status: Mapping[str, Any]) -> float | None:
    published = [one for one in status.get("rounds") or () if one.get("verdict") == "published"]
    return _unix_s(published[-1].get("completionTime")) if published else None


def _unix_s(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


def _words(name: str) -> tuple[str, str]:
    row = _ROWS[f"treering_{name}"]
    return row.name, row.help


def _gauge(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    row = _ROWS[f"treering_{name}"]
    family = GaugeMetricFamily(row.name, row.help, labels=row.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    row = _ROWS[f"treering_{name}"]
    family = CounterMetricFamily(row.name, row.help, labels=row.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
