"""Whatever stands in the API server, there is a decision, and it can be written."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.operator.decide.world import World, line_resource
from treering_api import Status
from treering_operator.decide.reading import read_line
from treering_operator.decide.salvage import salvage

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [("metadata",), ("spec",), ("status",), ("kind",), ("metadata", "generation"), ("metadata", "annotations"),
     ("metadata", "uid"), ("metadata", "name")]
    + [("spec", name) for name in ("increments", "model", "store", "discover", "suspend", "rollbackTo", "ttl")]
    + [("status", name) for name in ("mirror", "rounds", "settled", "conditions", "failure", "discovery", "progress",
                                     "harvested", "job", "round", "model", "unanswered", "planDigest", "gpuSeconds")]
)  # fmt: skip


def grown() -> World:
    world = World(line_resource(discover={"uri": "s3://drop/cards"}))
    world.grow()
    world.append("w49")
    world.quiet()
    return world


GROWN = grown()


@settings(deadline=None)
@given(st.lists(st.tuples(PLACES, JUNK), min_size=1, max_size=4))
def test_decide__never_breaks(junk: list[tuple[tuple[str, ...], Any]]) -> None:
    world = copy.deepcopy(GROWN)
    for place, value in junk:
        inside = world.resource
        for name in place[:-1]:
            inside = inside.get(name, {}) if isinstance(inside.get(name), dict) else {}
        inside[place[-1]] = value
    data = world.decide().status.data()
    assert Status.model_validate(data).data() == data


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param({"mirror": {"round": -1}}, id="mirror"),
        pytest.param({"rounds": "none"}, id="rounds"),
        pytest.param({"state": "Dancing"}, id="state"),
        pytest.param({"conditions": [{"type": "Ready"}]}, id="conditions"),
        pytest.param("all of it", id="everything"),
    ],
)
def test_decide__status_by_hand_heals(spoilt: Any) -> None:
    world = World()
    world.grow()
    world.resource["status"] = spoilt if isinstance(spoilt, str) else {**world.resource["status"], **spoilt}
    status = world.grow().status
    assert (status.state, status.learned) == ("UpToDate", ("w47", "w48"))
    assert len(status.conditions) == 6
    assert world.published == ["w47", "w48"]


def test_read_line__spec_that_does_not_parse_gives_what_can_be_read() -> None:
    resource = line_resource(retries="many")
    line = read_line(resource)
    assert (line.spec, [item.name for item in line.increments]) == (None, ["w47", "w48"])
    assert line.error is not None and line.error.where == "spec.retries"


def test_salvage__drops_items_and_fields_at_fault() -> None:
    good = {"round": 1, "attempt": 1, "increments": ["a"], "verdict": "published"}
    status = salvage(Status, {"rounds": [good, {"round": "x"}], "round": 3, "job": 7, "newer": True})
    assert status is not None
    assert (len(status.rounds), status.round, status.job) == (1, 3, "")


@pytest.mark.parametrize("data", [None, 7, "text", [], {}])
def test_salvage__nothing_there(data: Any) -> None:
    assert salvage(Status, data) == Status()
