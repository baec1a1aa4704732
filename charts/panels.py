"""Grafana panels as frozen data, and their JSON: ids, grid and data source are given here, so that none can clash.

Called by `charts.dashboards`. Widths count in Grafana's 24 columns; panels of a row stand side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Look = Literal["stat", "gauge", "timeseries", "bars", "stacked", "bargauge", "table", "timeline"]
COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_TYPES: dict[Look, str] = {"bars": "timeseries", "stacked": "timeseries", "timeline": "state-timeline"}
_LEGEND: Json = {"displayMode": "list", "placement": "bottom", "showLegend": True}


@dataclass(frozen=True)
class Query:
    """One PromQL expression; `legend` names its series, `instant` asks for one point only."""

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True)
class Panel:
    """One panel.

    Args:
        title: what it shows, in the house's words.
        look: how.
        queries: where its values come from.
        width: in columns.
        unit: Grafana's name of the unit.
        help: what a person should know, shown at the title.
        limits: (value, colour) from low to high; the first one's value is -infinity.
        range: fixed ends of the axis.
        extra: further keys of fieldConfig.defaults.
        overrides: fieldConfig.overrides.
        transformations: what Grafana does with the answers of several queries.
        decimals: digits after the point; None: as Grafana likes.
    """

    title: str
    look: Look
    queries: tuple[Query, ...]
    width: int
    unit: str = "short"
    help: str = ""
    limits: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    range: tuple[float, float] | None = None
    extra: Json = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    decimals: int | None = None


@dataclass(frozen=True)
class Row:
    """A titled row of panels, all of the same height."""

    title: str
    panels: tuple[Panel, ...]
    height: int = 8


def laid_out(rows: Sequence[Row]) -> list[Json]:
    """The panels' JSON, row below row, wrapped at 24 columns, with ids from 1."""
    done: list[Json] = []
    top = 0
    for row in rows:
        if row.title:
            done.append(_row(len(done) + 1, row.title, top))
            top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + row.height
            place = {"h": row.height, "w": panel.width, "x": left, "y": top}
            done.append(_panel(len(done) + 1, panel, place))
            left += panel.width
        top += row.height
    return done


def _row(number: int, title: str, top: int) -> Json:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number: int, panel: Panel, place: Json) -> Json:
    steps = [{"value": value, "color": colour} for value, colour in panel.limits]
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if _is_graph(panel.look) else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        **({"custom": _custom(panel.look)} if _custom(panel.look) else {}),
        **({"decimals": panel.decimals} if panel.decimals is not None else {}),
        **({"min": panel.range[0], "max": panel.range[1]} if panel.range else {}),
        **panel.extra,
    }
    return {
        "id": number,
        "type": _TYPES.get(panel.look, panel.look),
        "title": panel.title,
        **({"description": panel.help} if panel.help else {}),
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": _options(panel.look),
        "targets": [_target(index, query, panel.look) for index, query in enumerate(panel.queries)],
        **({"transformations": list(panel.transformations)} if panel.transformations else {}),
    }


def _target(index: int, query: Query, look: Look) -> Json:
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant,
        "range": not query.instant,
        "format": "table" if look == "table" else "time_series",
    }


def _is_graph(look: Look) -> bool:
    return look in ("timeseries", "bars", "stacked")


def _custom(look: Look) -> Json:
    if not _is_graph(look):
        return {}
    style = {"drawStyle": "bars", "fillOpacity": 80} if look == "bars" else {"drawStyle": "line", "fillOpacity": 10}
    stacking = {"mode": "normal" if look in ("bars", "stacked") else "none", "group": "A"}
    return {**style, "lineWidth": 1, "showPoints": "never", "spanNulls": False, "stacking": stacking}


def _options(look: Look) -> Json:
    last = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if look == "stat":
        return {**last, "colorMode": "value", "graphMode": "area", "textMode": "auto", "justifyMode": "auto"}
    if look == "gauge":
        return {**last, "showThresholdLabels": False, "showThresholdMarkers": True}
    if look == "bargauge":
        return {**last, "orientation": "horizontal", "displayMode": "basic", "valueMode": "color"}
    if look == "table":
        return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}
    if look == "timeline":
        return {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "legend": _LEGEND}
    return {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
