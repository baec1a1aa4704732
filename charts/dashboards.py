"""The two Grafana dashboards: the fleet with its operator, and one line with its rounds. Called by `charts.generate`.

Names of metrics stand in `treering_api.metrics`; a test compares, and shows every catalogued metric in one of them.
Both replicas of the operator export; `max by` takes what the acting one says.
"""

from __future__ import annotations

from typing import Any

from charts.line_panels import LINE_ROWS
from charts.operator_panels import FLEET_ROWS
from charts.panels import DATASOURCE, Row, laid_out

Json = dict[str, Any]


def dashboards() -> dict[str, Json]:
    """Each dashboard's JSON by the name of its file."""
    return {
        "fleet": _dashboard("treering-fleet", "Treering / Fleet", FLEET_ROWS, [_namespaces(several=True)], "now-24h"),
        "line": _dashboard(
            "treering-line", "Treering / Line", LINE_ROWS, [_namespaces(several=False), _lines()], "now-7d"
        ),
    }


def _dashboard(uid: str, title: str, rows: tuple[Row, ...], variables: list[Json], since: str) -> Json:
    return {
        "uid": uid,
        "title": title,
        "tags": ["treering"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [_link_to_dashboards()],
        "templating": {"list": [_datasource(), *variables]},
        "panels": laid_out(rows),
    }


def _link_to_dashboards() -> Json:
    return {
        "type": "dashboards",
        "title": "Treering",
        "tags": ["treering"],
        "asDropdown": True,
        "keepTime": True,
        "includeVars": False,
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _namespaces(several: bool) -> Json:
    return _variable("namespace", "Namespace", "label_values(treering_line_state_info, namespace)", several)


def _lines() -> Json:
    query = 'label_values(treering_line_state_info{namespace="$namespace"}, line)'
    return _variable("line", "Line", query, several=False)


def _variable(name: str, label: str, query: str, several: bool) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
        "current": {"text": ["All"], "value": ["$__all"]} if several else {},
    }
