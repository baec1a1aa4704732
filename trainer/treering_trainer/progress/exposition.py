"""The trainer's metrics, made at scrape time from one snapshot; names, kinds and labels come from the catalogue.

Used by `server`. Every trainer metric of the catalogue has its samples here, and a test says so. A number that isn't
known yet has no sample: absent is true, zero would be a lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from treering_api.metrics import CATALOGUE, Metric
from treering_trainer.progress.state import ProgressState, Snapshot

TRAINER_METRICS: tuple[Metric, ...] = tuple(metric for metric in CATALOGUE if metric.source == "trainer")

_BASE_UNITS = ("seconds", "bytes", "ratio")


@dataclass(frozen=True)
class Sample:
    """One value, with every label but `line`."""

    value: float
    labels: Mapping[str, str]


def registry(state: ProgressState) -> CollectorRegistry:
    """A registry of its own that holds the trainer's metrics and nothing else, read from `state` at each scrape."""
    own = CollectorRegistry(auto_describe=False)
    own.register(RoundCollector(state))
    return own


class RoundCollector(Collector):
    """Turns the state of a round into metric families."""

    def __init__(self, state: ProgressState) -> None:
        self._state = state

    def collect(self) -> Iterator[Family]:
        """One family for each trainer metric of the catalogue, all from the same snapshot."""
        snapshot = self._state.snapshot()
        for metric in TRAINER_METRICS:
            yield _family(metric, snapshot.line, samples(metric.name, snapshot))


def samples(name: str, snapshot: Snapshot) -> tuple[Sample, ...]:
    """The samples of the trainer metric `name`; none before a round has started."""
    if not snapshot.line:
        return ()
    if name in _LABELLED:
        return tuple(_LABELLED[name](snapshot))
    if name in _PLAIN:
        value = _PLAIN[name](snapshot)
        return () if value is None else (Sample(value, {}),)
    return tuple(_measured(name, snapshot))


_PLAIN: dict[str, Callable[[Snapshot], float | None]] = {
    "treering_round_number": lambda now: now.round,
    "treering_round_attempt": lambda now: now.attempt,
    "treering_round_start_timestamp_seconds": lambda now: now.started_s,
    "treering_round_progress_ratio": lambda now: now.progress,
    "treering_round_eta_seconds": lambda now: now.eta_s,
    "treering_round_epoch": lambda now: now.epoch,
    "treering_round_epochs": lambda now: now.epochs,
    "treering_round_images_total": lambda now: now.images_done,
    "treering_round_images_per_second": lambda now: now.images_per_s,
    "treering_round_learning_rate": lambda now: now.learning_rate,
}


def _stage(now: Snapshot) -> Iterator[Sample]:
    if now.stage:
        yield Sample(1, {"stage": now.stage})


def _stage_durations(now: Snapshot) -> Iterator[Sample]:
    return (Sample(seconds, {"stage": stage}) for stage, seconds in now.stage_durations_s.items())


def _losses(now: Snapshot) -> Iterator[Sample]:
    return (Sample(value, {"loss": part}) for part, value in now.losses.items())


_LABELLED: dict[str, Callable[[Snapshot], Iterator[Sample]]] = {
    "treering_round_stage_info": _stage,
    "treering_round_stage_duration_seconds": _stage_durations,
    "treering_round_loss": _losses,
}

MEASURED: tuple[str, ...] = tuple(
    metric.name for metric in TRAINER_METRICS if metric.name not in _PLAIN and metric.name not in _LABELLED
)
"""The metrics whose values come by `Measured` events, some also with the result at the end."""

_IN_RESULT: dict[str, tuple[tuple[dict[str, str], tuple[str, ...]], ...]] = {
    "treering_round_map50_ratio": (
        ({"when": "before"}, ("map50_before", "map50Before")),
        ({"when": "after"}, ("map50",)),
    ),
    "treering_round_forgetting_ratio": (({}, ("forgetting",)),),
    "treering_round_gpu_seconds_total": (({}, ("gpu_seconds", "gpuSeconds")),),
}
"""Where a result holds a metric's samples: labels, and the names the value may have."""


def _measured(name: str, now: Snapshot) -> Iterator[Sample]:
    by_event = {labels: value for (metric, labels), value in now.measured.items() if metric == name}
    return (Sample(value, dict(labels)) for labels, value in {**_from_result(name, now), **by_event}.items())


def _from_result(name: str, now: Snapshot) -> dict[tuple[tuple[str, str], ...], float]:
    result = now.result or {}
    found = {
        tuple(labels.items()): next((result[key] for key in keys if result.get(key) is not None), None)
        for labels, keys in _IN_RESULT.get(name, ())
    }
    return {labels: value for labels, value in found.items() if value is not None}


def _family(metric: Metric, line: str, found: tuple[Sample, ...]) -> Family:
    unit = metric.unit if metric.unit in _BASE_UNITS else ""
    if metric.kind == "info":
        info = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, labels=())
        for sample in found:
            info.add_metric([], {"line": line, **sample.labels})
        return info
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = make(metric.name, metric.help, labels=metric.labels, unit=unit)
    for sample in found:
        family.add_metric([{"line": line, **sample.labels}[label] for label in metric.labels], sample.value)
    return family
