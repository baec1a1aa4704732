"""The dashboards: sound JSON, a grid without overlaps, and every expression finds something in a real Prometheus."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from charts.dashboards import dashboards
from tests.plugins.helm import EVERYTHING, Helm, of_kind
from tests.plugins.prometheus import Prometheus, prometheus
from treering_api.metrics import CATALOGUE, Metric

Json = dict[str, Any]
BOARDS = dashboards()
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
NOW = 1_764_000_000
STEP_S, STEPS = 60, 120
HISTOGRAM_ENDS = ("_bucket", "_count", "_sum")
SCRAPED = {"namespace", "pod", "job", "instance", "le"}
"""Labels that Prometheus or a histogram adds."""
VALUES = {"namespace": "vision", "line": "cards", "when": "after", "state": "Training", "resource": "jobs"}
SELECTOR = re.compile(r"(treering_[a-z0-9_]+)(\{[^}]*\})?")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_board__ids_and_queries_are_named_once(board: Json) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        names = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(names)) == len(names)


def test_boards__have_addresses_of_their_own() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    links = re.findall(r"/d/([a-z-]+)\?", json.dumps(BOARDS))
    assert links
    assert set(links) <= {board["uid"] for board in BOARDS.values()}


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_board__the_grid_has_no_overlaps_and_no_ragged_rows(board: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in board["panels"]):
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height, "a gap in the grid"


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_board__every_variable_is_declared_and_used(board: Json) -> None:
    declared = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps([board["panels"], board["templating"]])
    used = set(re.findall(r"\$\{?([a-z]+)\b", text)) - {"__field", "__data"}
    assert used == declared


@pytest.mark.parametrize("panel", PANELS)
def test_panel__asks_the_chosen_data_source_in_a_unit(panel: Json) -> None:
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["title"]


def expressions(helm: Helm) -> Iterator[tuple[str, str]]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            yield from ((f"{name}/{panel['title']}", target["expr"]) for target in panel.get("targets", []))
        for variable in board["templating"]["list"][1:]:
            yield name, variable["query"]["query"].removeprefix("label_values(")
    (rules,) = of_kind(helm.render(EVERYTHING), "PrometheusRule")
    for alert in itertools.chain.from_iterable(group["rules"] for group in rules["spec"]["groups"]):
        yield alert["alert"], alert["expr"]


def catalogued(name: str) -> Metric:
    rows = {row.name: row for row in CATALOGUE}
    found = next(
        (rows[name.removesuffix(end)] for end in ("", *HISTOGRAM_ENDS) if name.removesuffix(end) in rows), None
    )
    assert found is not None, f"{name} is in no catalogue"
    assert (found.kind == "histogram") == name.endswith(HISTOGRAM_ENDS), name
    return found


def test_expressions__name_only_metrics_and_labels_of_the_catalogue(helm: Helm) -> None:
    seen = set()
    for where, expression in expressions(helm):
        labels: set[str] = set()
        for name, selector in SELECTOR.findall(expression):
            row = catalogued(name)
            seen.add(row.name)
            labels |= set(row.labels)
            asked = set(re.findall(r"([a-z_]+)(?:=|!=|=~|!~)\"", selector))
            assert asked <= set(row.labels) | SCRAPED, f"{where}: {name} has no label {asked - set(row.labels)}"
        grouped = {label.strip() for found in GROUPING.findall(expression) for label in found.split(",")}
        assert grouped <= labels | SCRAPED, f"{where}: {grouped - labels}"
    assert seen == {row.name for row in CATALOGUE}, "a metric that nobody sees"


def test_monitors__scrape_the_ports_that_the_pods_have(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    ports = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert [port["name"] for port in ports] == [of_kind(objects, "ServiceMonitor")[0]["spec"]["endpoints"][0]["port"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus after two hours of a line that trains."""
    with prometheus(tmp_path_factory.mktemp("prometheus"), samples()) as running:
        yield running


@pytest.mark.parametrize("panel", PANELS)
def test_panel__shows_something(server: Prometheus, panel: Json) -> None:
    for target in panel["targets"]:
        expression = target["expr"].replace("$namespace", "vision").replace("$line", "cards")
        found = server.query(expression, NOW - 30)
        assert found, expression
        assert all(series["value"][1] != "NaN" for series in found), expression
        legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert all(legend <= set(series["metric"]) for series in found), expression


def samples() -> str:
    """Every catalogued metric with one series of each label's value, rising from 1, as OpenMetrics."""
    lines = []
    for row in CATALOGUE:
        family = row.name.removesuffix("_total").removesuffix("_info")
        kind = {"counter": "counter", "histogram": "histogram", "info": "info"}.get(row.kind, "gauge")
        lines.append(f"# TYPE {family} {kind}")
        for extra, end in ((({"le": "1.0"}, "_bucket"), ({"le": "+Inf"}, "_bucket"), ({}, "_count"), ({}, "_sum"))
                           if row.kind == "histogram" else (({}, ""),)):  # fmt: skip
            name = row.name + end
            for when in ("before", "after") if "when" in row.labels else ("",):
                values = {label: VALUES.get(label, "x") for label in row.labels} | extra | {"namespace": "vision"}
                values |= {"when": when} if when else {}
                labels = ",".join(f'{key}="{value}"' for key, value in values.items())
                lines += [
                    f"{name}{{{labels}}} {1 if row.kind == 'info' else step + 1} {NOW - (STEPS - step) * STEP_S}"
                    for step in range(STEPS)
                ]
    return "\n".join([*lines, "# EOF", ""])


def test_config_maps__are_small_enough_for_grafanas_sidecar(helm: Helm) -> None:
    for one in of_kind(helm.render(EVERYTHING), "ConfigMap"):
        assert len(yaml.safe_dump(one)) < 256 * 1024
