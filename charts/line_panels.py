"""Panels of a line's dashboard: where it stands, its running round, its rounds so far. Called by `charts.dashboards`.

What the operator says outlives the round; what the pod says (`treering_round_*`) ends with it.
"""

from __future__ import annotations

from charts.panels import Panel, Query, Row

_LABELS = 'namespace="$namespace", line="$line"'


def _line(metric: str, labels: str = "") -> str:
    return f"max(treering_line_{metric}{{{_LABELS}{', ' + labels if labels else ''}}})"


def _round(metric: str, *by: str) -> str:
    grouping = f" by ({', '.join(by)})" if by else ""
    return f"max{grouping} (treering_round_{metric}{{{_LABELS}}})"


_STANDS = (
    Panel(
        "State",
        "stat",
        (Query(f"max by (state) (treering_line_state_info{{{_LABELS}}}) == 1", "{{state}}"),),
        4,
        extra={"displayName": "${__field.labels.state}"},
        help="As `kubectl get incrementaltrains` says.",
    ),
    Panel("Round", "stat", (Query(_line("round")),), 3, decimals=0, help="The last finished one."),
    Panel("Outstanding increments", "stat", (Query(_line("outstanding_increments")),), 3, decimals=0),
    Panel("Progress", "gauge", (Query(_line("progress_ratio")),), 4, unit="percentunit", range=(0, 1)),
    Panel("ETA", "stat", (Query(_line("eta_seconds")),), 3, unit="dtdurations"),
    Panel("mAP50", "stat", (Query(_line("map50_ratio", 'when="after"')),), 3, unit="percentunit", decimals=1),
    Panel(
        "Forgetting",
        "stat",
        (Query(_line("forgetting_ratio")),),
        4,
        unit="percentunit",
        decimals=1,
        limits=((None, "green"), (0.02, "yellow"), (0.1, "red")),
        help="mAP50 that the last round lost on old classes; negative is a gain.",
    ),
)

_ATTEMPT = (
    Panel("Round that runs", "stat", (Query(_round("number")),), 4, decimals=0),
    Panel("Attempt", "stat", (Query(_round("attempt")),), 4, decimals=0, limits=((None, "green"), (2, "yellow"))),
    Panel("Attempt runs for", "stat", (Query(f"time() - {_round('start_timestamp_seconds')}"),), 4, unit="dtdurations"),
    Panel("GPU time of the attempt", "stat", (Query(_round("gpu_seconds_total")),), 4, unit="dtdurations"),
    Panel(
        "mAP50 of the round",
        "stat",
        (Query(_round("map50_ratio", "when"), "{{when}}"),),
        4,
        unit="percentunit",
        decimals=1,
        help="Before: the published model on old classes. After: the candidate on all.",
    ),
    Panel("Forgetting of the round", "stat", (Query(_round("forgetting_ratio")),), 4, unit="percentunit", decimals=1),
)

_RUNNING = (
    Panel(
        "Progress of the round",
        "timeseries",
        (Query(_round("progress_ratio"), "done"),),
        8,
        "percentunit",
        range=(0, 1),
    ),
    Panel("Loss", "timeseries", (Query(_round("loss", "loss"), "{{loss}}"),), 8),
    Panel("Speed", "timeseries", (Query(_round("images_per_second"), "images per second"),), 8, unit="suffix: img/s"),
    Panel("Stage", "timeline", (Query(_round("stage_info", "stage"), "{{stage}}"),), 12),
    Panel(
        "Time of stages",
        "bargauge",
        (Query(_round("stage_duration_seconds", "stage"), "{{stage}}", instant=True),),
        6,
        unit="dtdurations",
    ),
    Panel(
        "Findings in the data",
        "bargauge",
        (Query(_round("findings", "severity"), "{{severity}}", instant=True),),
        6,
        help="What verification found, by severity.",
    ),
    Panel(
        "Epoch",
        "timeseries",
        (Query(_round("epoch"), "finished"), Query(_round("epochs"), "planned")),
        4,
        decimals=0,
    ),
    Panel(
        "Drift and warnings",
        "stat",
        (
            Query(_round("drift_ratio"), "drift (AUC)", instant=True),
            Query(_round("warnings"), "warnings", instant=True),
        ),
        5,
        help="Of the delivery that is being learned, as analyse measured it.",
    ),
    Panel("Learning rate", "timeseries", (Query(_round("learning_rate"), "learning rate"),), 4, unit="sci"),
    Panel("Images shown", "timeseries", (Query(_round("images_total"), "images"),), 4),
    Panel(
        "Time left",
        "timeseries",
        (Query(_round("eta_seconds"), "left"),),
        4,
        unit="dtdurations",
    ),
    Panel(
        "Cases and exports",
        "stat",
        (
            Query(_round("cases", "kind"), "{{kind}}", instant=True),
            Query(_round("refused_exports"), "exports left out", instant=True),
        ),
        3,
        help="Pictures collected to look at or to label, and formats that were made and left out.",
    ),
)

_ROUNDS = (
    Panel(
        "mAP50, round after round",
        "timeseries",
        (
            Query(_line("map50_ratio", 'when="before"'), "before, old classes"),
            Query(_line("map50_ratio", 'when="after"'), "after, all classes"),
        ),
        12,
        unit="percentunit",
        range=(0, 1),
    ),
    Panel(
        "Forgetting, round after round",
        "timeseries",
        (Query(_line("forgetting_ratio"), "lost on old classes"),),
        12,
        unit="percentunit",
    ),
    Panel(
        "Drift of deliveries, round after round",
        "timeseries",
        (Query(_line("drift_ratio"), "AUC of new against old images"),),
        12,
        range=(0, 1),
        help="How well a classifier tells new images from old ones: 0.5 not at all, 1 always.",
    ),
    Panel("Warnings about deliveries", "timeseries", (Query(_line("warnings"), "warnings"),), 12, decimals=0),
    Panel("Length of rounds", "timeseries", (Query(_line("round_duration_seconds"), "round"),), 8, unit="dtdurations"),
    Panel(
        "GPU time",
        "timeseries",
        (Query(f"{_line('gpu_seconds_total')} / 3600", "all rounds"),),
        8,
        unit="suffix: h",
    ),
    Panel(
        "Since the last publication",
        "timeseries",
        (Query(f"time() - {_line('last_success_timestamp_seconds')}", "age"),),
        8,
        unit="dtdurations",
    ),
)

LINE_ROWS: tuple[Row, ...] = (
    Row("", _STANDS, height=5),
    Row("Running round", _ATTEMPT, height=4),
    Row("", _RUNNING, height=7),
    Row("Rounds", _ROUNDS, height=8),
)
