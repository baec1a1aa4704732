"""Argo CD's scripts, run as Argo runs them: Lua 5.1 with base, table, and date and time of os; no string library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lupa import lua51

from tests.plugins.programs import ROOT

KIND = ROOT / "deploy" / "argocd" / "resource_customizations" / "treering.dev" / "IncrementalTrain"
NOW = "2026-11-24T09:30:00Z"
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


def argo_health(resource: Object) -> Object:
    """Status and message of a line, as Argo would show them."""
    found: Object = run((KIND / "health.lua").read_text(), resource)
    return found
