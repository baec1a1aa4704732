"""Argo CD's scripts, run as Argo runs them: Lua 5.1 with base, table, and date and time of os; no string library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from charts.generate import ROOT
from treering_api import IncrementalTrain

KIND = ROOT / "deploy" / "argocd" / "resource_customizations" / "treering.dev" / "IncrementalTrain"
NOW = "2026-11-24T09:30:00Z"
HEALTH = yaml.safe_load((KIND / "health_test.yaml").read_text())["tests"]
ACTIONS = yaml.safe_load((KIND / "actions" / "action_test.yaml").read_text())
Object = dict[str, Any]


def loaded(path: Path) -> Object:
    data: Object = yaml.safe_load(path.read_text())
    return data


def run(script: str, resource: Object) -> Any:
    """What a script returns, as plain data."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    for library in ("string", "io", "debug", "math", "coroutine", "package", "dofile", "loadfile", "python"):
        lua.globals()[library] = None
    lua.execute("getmetatable('').__index = nil")  # ("x"):upper() reaches the string library, too
    lua.globals().os = lua.table_from({"date": lambda form: clock(str(form)), "time": lambda: 0})
    lua.globals().require = lambda name: lua.globals().os if name == "os" else None
    lua.globals().obj = to_lua(lua, resource)
    return plain(lua.execute(script))


def clock(form: str) -> str:
    assert form == "!%Y-%m-%dT%H:%M:%SZ", form
    return NOW


def to_lua(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: to_lua(lua, one) for key, one in value.items()})
    if isinstance(value, list):
        return lua.table_from([to_lua(lua, one) for one in value])
    return value


def plain(value: Any) -> Any:
    """A Lua value as Argo's JSON encoder sees it: an empty table is a list."""
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value)
    if keys == list(range(1, len(keys) + 1)):
        return [plain(one) for one in value.values()]
    return {key: plain(one) for key, one in value.items()}


def cleaned(new: Any, old: Any) -> Any:
    """As Argo mends what Lua can't tell apart: an empty list that was a mapping becomes that mapping again."""
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: cleaned(value, old[key]) if key in old else value for key, value in new.items()}
    if isinstance(new, list) and isinstance(old, list):
        return [cleaned(value, before) for value, before in zip(new, old, strict=True)]
    return old if new == [] and isinstance(old, dict) else new


@pytest.mark.parametrize("test", HEALTH, ids=lambda test: Path(test["inputPath"]).stem)
def test_health__is_what_the_conditions_say(test: Object) -> None:
    found = run((KIND / "health.lua").read_text(), loaded(KIND / test["inputPath"]))
    assert found == test["healthStatus"]


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
