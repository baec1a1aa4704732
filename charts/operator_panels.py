"""Panels of the fleet's dashboard: what all lines do, and how the operator is. Called by `charts.dashboards`."""

from __future__ import annotations

from charts.panels import Json, Panel, Query, Row

_LINE = 'namespace=~"$namespace"'
_BAD_ABOVE_0 = ((None, "green"), (1, "red"))


def _per_line(metric: str, labels: str = "") -> str:
    return f"max by (namespace, line) ({metric}{{{_LINE}{', ' + labels if labels else ''}}})"


def _lines_in(states: str) -> str:
    state = f'treering_line_state_info{{{_LINE}, state=~"{states}"}}'
    return f"count(max by (namespace, line) ({state})) or vector(0)"


def _column(name: str, title: str, **properties: object) -> Json:
    shown: list[Json] = [{"id": "displayName", "value": title}]
    shown += [{"id": key.replace("_", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": shown}


_NOW = (
    Panel(
        "Lines", "stat", (Query("sum(max by (state) (treering_lines))"),), 4, help="In all namespaces that are kept."
    ),
    Panel("Training", "stat", (Query(_lines_in("Training")),), 4),
    Panel(
        "Waiting for a place", "stat", (Query(_lines_in("Queued|Pending")),), 4, limits=((None, "green"), (1, "yellow"))
    ),
    Panel(
        "Need a person",
        "stat",
        (Query(_lines_in("Stalled|Held")),),
        4,
        limits=_BAD_ABOVE_0,
        help="Stalled or held: nothing goes on until someone changes something.",
    ),
    Panel(
        "Last published",
        "stat",
        (Query("time() - max(treering_last_success_timestamp_seconds)"),),
        4,
        unit="dtdurations",
        help="Time since any round was published.",
    ),
    Panel(
        "GPU time, 24 h",
        "stat",
        (Query("sum(increase(treering_gpu_seconds_total[24h])) / 3600"),),
        4,
        unit="suffix: GPU h",
        decimals=1,
    ),
)

_LINES_TABLE = Panel(
    "Lines",
    "table",
    (
        Query(f"max by (namespace, line, state) (treering_line_state_info{{{_LINE}}})", instant=True),
        Query(_per_line("treering_line_round"), instant=True),
        Query(_per_line("treering_line_outstanding_increments"), instant=True),
        Query(_per_line("treering_line_progress_ratio"), instant=True),
        Query(_per_line("treering_line_eta_seconds"), instant=True),
        Query(_per_line("treering_line_map50_ratio", 'when="after"'), instant=True),
        Query(_per_line("treering_line_forgetting_ratio"), instant=True),
        Query(f"{_per_line('treering_line_gpu_seconds_total')} / 3600", instant=True),
        Query(f"time() - {_per_line('treering_line_last_success_timestamp_seconds')}", instant=True),
    ),
    24,
    help="A click on a line opens its own dashboard.",
    overrides=(
        _column(
            "line",
            "Line",
            links=[
                {
                    "title": "Open the line",
                    "url": "/d/treering-line?var-namespace=${__data.fields.namespace}&var-line=${__data.fields.line}",
                }
            ],
        ),
        _column("namespace", "Namespace"),
        _column("state", "State"),
        _column("Value #B", "Round", decimals=0),
        _column("Value #C", "Outstanding", decimals=0),
        _column("Value #D", "Progress", unit="percentunit", decimals=0),
        _column("Value #E", "ETA", unit="dtdurations"),
        _column("Value #F", "mAP50", unit="percentunit", decimals=1),
        _column("Value #G", "Forgetting", unit="percentunit", decimals=1),
        _column("Value #H", "GPU time", unit="suffix: h", decimals=1),
        _column("Value #I", "Last published", unit="dtdurations"),
    ),
    transformations=(
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True, "Value #A": True}}},
    ),
)

_ROUNDS = (
    Panel("Lines by state", "stacked", (Query("max by (state) (treering_lines)", "{{state}}"),), 8),
    Panel(
        "Rounds that ended",
        "bars",
        (Query("sum by (result) (increase(treering_rounds_total[1h]))", "{{result}}"),),
        8,
        help="Within the hour before each point.",
    ),
    Panel(
        "GPUs in use",
        "stacked",
        (
            Query(
                f"sum by (namespace) (max by (namespace, line) (rate(treering_line_gpu_seconds_total{{{_LINE}}}[1h])))",
                "{{namespace}}",
            ),
        ),
        8,
        help="GPU seconds per second: the mean number of GPUs that rounds held, booked when a round ends.",
    ),
    Panel(
        "Highest forgetting",
        "timeseries",
        (Query(f"topk(10, {_per_line('treering_line_forgetting_ratio')})", "{{namespace}}/{{line}}"),),
        12,
        unit="percentunit",
    ),
    Panel(
        "Longest rounds",
        "timeseries",
        (Query(f"topk(10, {_per_line('treering_line_round_duration_seconds')})", "{{namespace}}/{{line}}"),),
        12,
        unit="dtdurations",
    ),
)

_OPERATOR = (
    Panel(
        "Acting replicas",
        "stat",
        (Query("sum(treering_operator_leader)"),),
        4,
        limits=((None, "red"), (1, "green"), (2, "red")),
        help="One, unless releases share this Prometheus.",
    ),
    Panel(
        "Version",
        "stat",
        (Query("max by (version) (treering_operator_build_info)", "{{version}}"),),
        4,
        extra={"displayName": "${__field.labels.version}"},
    ),
    Panel(
        "Reconcile duration",
        "timeseries",
        tuple(
            Query(
                f"histogram_quantile({share}, "
                "sum by (le) (rate(treering_operator_reconcile_duration_seconds_bucket[5m])))",
                name,
            )
            for share, name in ((0.5, "median"), (0.99, "99th percentile"))
        ),
        8,
        unit="s",
    ),
    Panel(
        "Reconciles",
        "timeseries",
        (Query("sum(rate(treering_operator_reconcile_duration_seconds_count[5m]))", "all"),),
        8,
        unit="ops",
    ),
    Panel(
        "Reconcile errors",
        "bars",
        (Query("sum by (reason) (increase(treering_operator_reconcile_errors_total[5m]))", "{{reason}}"),),
        8,
    ),
    Panel("Lines in the queue", "timeseries", (Query("max(treering_operator_queue_depth)", "lines"),), 8),
    Panel(
        "Silence of watches",
        "timeseries",
        (Query("max by (resource) (treering_operator_watch_age_seconds)", "{{resource}}"),),
        8,
        unit="s",
    ),
)

FLEET_ROWS: tuple[Row, ...] = (
    Row("", _NOW, height=4),
    Row("Lines", (_LINES_TABLE,), height=10),
    Row("Rounds", _ROUNDS),
    Row("Operator", _OPERATOR, height=7),
)
