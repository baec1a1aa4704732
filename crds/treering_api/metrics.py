"""The metric catalogue as data: every metric that Treering exposes, in one place.

The trainer and the operator declare their metrics from it, so that a name exists once; `generate.py` writes the
reference from it; dashboards and alert rules are checked against it. Prometheus' naming rules hold for every row
(prefix `treering_`, base units, no unbounded labels), and a test says so.

Numbers that rise for ever (round, attempt) are values, never labels. A line's labels end with the line: the operator
drops its series when the resource goes, the trainer's end with the pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "info"]
Source = Literal["trainer", "operator"]
Unit = Literal["seconds", "bytes", "ratio", "images", "images_per_second", ""]


@dataclass(frozen=True)
class Metric:
    """One metric as it is exposed.

    Args:
        name: the exposed name; counters end in `_total`, infos in `_info`.
        kind: what Prometheus should make of it. An info is a gauge that is always 1 and says it all in its labels.
        unit: what one step of the value is, and the end of the name (before `_total`); empty for plain numbers.
        help: one sentence for people: meaning, range, when it is absent.
        labels: label names, each explained in `LABELS`.
        source: the process that exposes it.
    """

    name: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[str, ...]
    source: Source


LABELS: Mapping[str, str] = MappingProxyType(
    {
        "line": "name of the IncrementalTrain; as many as there are resources",
        "namespace": "namespace of the IncrementalTrain",
        "stage": "one of the nine stages of a round",
        "loss": "name of a part of the loss (box, cls, dfl, and one per policy that adds one)",
        "when": "`before` (the published model) or `after` (the candidate)",
        "severity": "error, quarantine, warning or info",
        "kind": "missed, falseAlarm, confusion, lowAgreement or uncertain",
        "state": "the state that `kubectl get` shows",
        "result": "published, rejected or failed",
        "reason": "reason of the condition or error class, a fixed set",
        "resource": "kind of the watched objects: incrementaltrains, jobs, pods",
        "version": "version of the running operator; one at a time",
    }
)
"""Every label that a metric may carry, and what bounds its values."""

_ROUND = ("line",)
_LINE = ("namespace", "line")


def _trainer(name: str, kind: Kind, unit: Unit, help_: str, *labels: str) -> Metric:
    return Metric(f"treering_round_{name}", kind, unit, help_, (*_ROUND, *labels), "trainer")


def _operator(name: str, kind: Kind, unit: Unit, help_: str, *labels: str) -> Metric:
    return Metric(f"treering_{name}", kind, unit, help_, labels, "operator")


def _line(name: str, kind: Kind, unit: Unit, help_: str, *labels: str) -> Metric:
    return Metric(f"treering_line_{name}", kind, unit, help_, (*_LINE, *labels), "operator")


_TRAINER_METRICS: tuple[Metric, ...] = (
    _trainer("stage_info", "info", "", "Stage that runs now; absent between stages.", "stage"),
    _trainer("number", "gauge", "", "Number of the round, from 1."),
    _trainer("attempt", "gauge", "", "Number of the attempt at the round, from 1."),
    _trainer("start_timestamp_seconds", "gauge", "seconds", "When this attempt started, Unix time."),
    _trainer("progress_ratio", "gauge", "ratio", "Share of the whole round that is done, 0 to 1; never falls."),
    _trainer("eta_seconds", "gauge", "seconds", "Time until the round ends; absent until the speed is known."),
    _trainer("stage_duration_seconds", "gauge", "seconds", "How long each finished stage took.", "stage"),
    _trainer("epoch", "gauge", "", "Epochs finished; absent before the first."),
    _trainer("epochs", "gauge", "", "Epochs planned; absent before the first has finished."),
    _trainer("images_total", "counter", "images", "Images shown to the model, counting repeats and earlier attempts."),
    _trainer("images_per_second", "gauge", "images_per_second", "Training speed of late; absent until known."),
    _trainer("loss", "gauge", "", "Mean of each part of the loss over the last epoch.", "loss"),
    _trainer("learning_rate", "gauge", "", "Learning rate of the last epoch."),
    _trainer("findings", "gauge", "", "What verification found in the data, by severity.", "severity"),
    _trainer("map50_ratio", "gauge", "ratio", "mAP50, 0 to 1: before on old classes, after on all.", "when"),
    _trainer("forgetting_ratio", "gauge", "ratio", "mAP50 lost on old classes, -1 to 1; negative is a gain."),
    _trainer(
        "drift_ratio", "gauge", "ratio", "How well new images are told from old ones (AUC), .5 to 1; absent if unknown."
    ),
    _trainer("refused_exports", "gauge", "", "Formats that were made and not published; absent where none was made."),
    _trainer("cases", "gauge", "", "Pictures that were collected to look at or to label, by kind.", "kind"),
    _trainer("warnings", "gauge", "", "What the analysis of the delivery warns of; absent before it."),
    _trainer("gpu_seconds_total", "counter", "seconds", "Time of GPUs that this attempt held."),
)

_OPERATOR_METRICS: tuple[Metric, ...] = (
    _operator("operator_build_info", "info", "", "The running operator.", "version"),
    _operator("operator_leader", "gauge", "", "1 on the replica that acts, 0 on the ones that wait."),
    _operator("operator_reconcile_duration_seconds", "histogram", "seconds", "How long one reconcile of a line took."),
    _operator("operator_reconcile_errors_total", "counter", "", "Reconciles that failed, by reason.", "reason"),
    _operator("operator_queue_depth", "gauge", "", "Lines that wait for their reconcile."),
    _operator("operator_watch_age_seconds", "gauge", "seconds", "Time since a watch was last heard.", "resource"),
    _operator("lines", "gauge", "", "Lines by state.", "state"),
    _operator("rounds_total", "counter", "", "Rounds that ended since the operator started, by result.", "result"),
    _operator("gpu_seconds_total", "counter", "seconds", "Time of GPUs that rounds held since the operator started."),
    _operator("last_success_timestamp_seconds", "gauge", "seconds", "When any round was last published, Unix time."),
    _line("state_info", "info", "", "State of the line.", "state"),
    _line("round", "gauge", "", "Last finished round of the line; 0 before the first."),
    _line("outstanding_increments", "gauge", "", "Increments of the line that no round has trained yet."),
    _line(
        "progress_ratio", "gauge", "ratio", "Share of the running round that is done, 0 to 1; absent while none runs."
    ),
    _line("eta_seconds", "gauge", "seconds", "Time until the running round ends; absent until known."),
    _line(
        "map50_ratio",
        "gauge",
        "ratio",
        "mAP50, 0 to 1: after of the line's model, before of the one before it on old classes.",
        "when",
    ),
    _line(
        "forgetting_ratio",
        "gauge",
        "ratio",
        "mAP50 that the line's model lost on old classes in its round, -1 to 1; negative is a gain.",
    ),
    _line("drift_ratio", "gauge", "ratio", "AUC of new images against old ones in the last finished round, .5 to 1."),
    _line("warnings", "gauge", "", "What the analysis of the last finished round's delivery warned of."),
    _line("round_duration_seconds", "gauge", "seconds", "How long the last finished round took."),
    _line("gpu_seconds_total", "counter", "seconds", "Time of GPUs that all rounds of the line held."),
    _line(
        "last_success_timestamp_seconds", "gauge", "seconds", "When a round of the line was last published, Unix time."
    ),
)

CATALOGUE: tuple[Metric, ...] = _TRAINER_METRICS + _OPERATOR_METRICS
"""Every metric, the trainer's first, in the order of the reference."""
