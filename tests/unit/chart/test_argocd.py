"""Argo CD's scripts on their own test data, as Argo's repository would run them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from charts.generate import ROOT
from tests.plugins.argocd import KIND, Object, argo_health, cleaned, loaded, run
from treering_api import IncrementalTrain

HEALTH = yaml.safe_load((KIND / "health_test.yaml").read_text())["tests"]
ACTIONS = yaml.safe_load((KIND / "actions" / "action_test.yaml").read_text())


@pytest.mark.parametrize("test", HEALTH, ids=lambda test: Path(test["inputPath"]).stem)
def test_health__is_what_the_conditions_say(test: Object) -> None:
    assert argo_health(loaded(KIND / test["inputPath"])) == test["healthStatus"]


def test_health__every_file_of_testdata_is_tested() -> None:
    tested = {Path(test["inputPath"]).name for test in HEALTH}
    assert tested == {path.name for path in (KIND / "testdata").iterdir()}
    assert {test["healthStatus"]["status"] for test in HEALTH} == {"Healthy", "Progressing", "Degraded", "Suspended"}


@pytest.mark.parametrize("path", sorted((KIND / "testdata").iterdir()), ids=lambda path: path.stem)
def test_testdata__are_lines_as_the_api_knows_them(path: Path) -> None:
    line = IncrementalTrain.model_validate(loaded(path))
    assert line.status is None or line.status.state


@pytest.mark.parametrize("test", ACTIONS["actionTests"], ids=lambda test: f"{test['action']}-{test['inputPath']}")
def test_action__changes_what_it_says_and_nothing_else(test: Object) -> None:
    before = loaded(KIND / "actions" / test["inputPath"])
    script = (KIND / "actions" / test["action"] / "action.lua").read_text()
    assert cleaned(run(script, before), before) == loaded(KIND / "actions" / test["expectedOutputPath"])


@pytest.mark.parametrize("test", ACTIONS["discoveryTests"], ids=lambda test: test["inputPath"])
def test_discovery__offers_what_fits_the_line(test: Object) -> None:
    found = run((KIND / "actions" / "discovery.lua").read_text(), loaded(KIND / "actions" / test["inputPath"]))
    assert {"name": "", **found} == {"name": "", **{one.pop("name"): one for one in map(dict, test["result"])}}


def test_discovery__offers_exactly_the_actions_there_are() -> None:
    found = run((KIND / "actions" / "discovery.lua").read_text(), loaded(KIND / "actions" / "testdata" / "line.yaml"))
    assert set(found) == {path.parent.name for path in KIND.glob("actions/*/action.lua")}


def test_config_map__holds_the_tested_scripts() -> None:
    data = loaded(ROOT / "deploy" / "argocd" / "argocd-cm.yaml")["data"]
    assert data["resource.customizations.health.treering.dev_IncrementalTrain"] == (KIND / "health.lua").read_text()
    actions = yaml.safe_load(data["resource.customizations.actions.treering.dev_IncrementalTrain"])
    assert actions["discovery.lua"] == (KIND / "actions" / "discovery.lua").read_text()
    for one in actions["definitions"]:
        assert one["action.lua"] == (KIND / "actions" / one["name"] / "action.lua").read_text()
