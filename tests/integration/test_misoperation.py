"""The ways in which operators break (Acto, SOSP'23), tried field by field on the real API server.

Every field of the spec gets values that its schema allows and odd ones. What the API server refuses, it refuses with
words about the field; what it accepts, the operator must act upon or tell in the status as Stalled; and once the good
spec is put back, the line must stand as one that never had another. One operator lives through all of it.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from tests.integration.conftest import World
from tests.plugins.api_server import LINES, ApiServer, Refusal
from tests.plugins.operators import OperatorProcess
from tests.plugins.programs import wait_until
from tests.plugins.random_specs import spec_schema, values_of
from treering_api import read
from treering_api.plan import KEEPING_FIELDS

ABSENT = object()
ODD: tuple[Any, ...] = (
    ABSENT,
    None,
    "",
    0,
    -1,
    2**62,
    1e300,
    True,
    [],
    {},
    "x" * 600,
    "💥",
    "${HOME}",
    "../..",
    [None],
    {"": ""},
    {"a": {}},
)
KEEPING = {to_camel(name) for name in KEEPING_FIELDS} - {"increments"}
SETTLE_S = 60.0
PAUSE_S = 0.5
BATCHES = 6
MEMORY_MIB = 150
Place = tuple[str | int, ...]


def fields(schema: dict[str, Any], place: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every field below a schema, with its own schema."""
    if place:
        yield place, schema
    for arm in schema.get("anyOf", ()):
        yield from (found for found in fields(arm, place) if found[0] != place)
    for name, child in schema.get("properties", {}).items():
        yield from fields(child, (*place, name))
    if schema.get("type") == "array":
        yield from fields(schema["items"], (*place, 0))


FIELDS = tuple(fields(spec_schema()))


def good_spec() -> dict[str, Any]:
    return {
        "model": {"base": "s3://models/yolov8n.pt"},
        "store": {"uri": "s3://lines/odd"},
        "increments": [{"name": "one", "uri": "s3://deliveries/one"}],
    }


def put(spec: dict[str, Any], place: Place, value: object) -> dict[str, Any]:
    """A copy of the spec with one field set, and with what is needed to reach it."""
    spec = copy.deepcopy(spec)
    node: Any = spec
    for part, following in itertools.pairwise(place):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(part, int):
            if not node:
                node.append(empty)
            node = node[part]
        else:
            node = node.setdefault(part, empty)
    last = place[-1]
    if value is ABSENT:
        node.pop(last, None) if isinstance(node, dict) else node.clear()
    elif isinstance(last, int):
        node[:1] = [value]
    else:
        node[last] = value
    return spec


class Lines:
    """The lines of one namespace, made and changed through the API server."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server = server
        self._path = f"{LINES}/namespaces/{namespace}/incrementaltrains"

    def make(self, name: str, spec: dict[str, Any]) -> str | None:
        """Make a line; what the API server says against it, None where it takes it."""
        body = {"apiVersion": "treering.dev/v1alpha1", "kind": "IncrementalTrain", "metadata": {"name": name}}
        try:
            self._server.request("POST", self._path, {**body, "spec": spec})
        except Refusal as refusal:
            return str(refusal)
        return None

    def mend(self, name: str) -> None:
        """Put the good spec in, whole."""
        patch = [{"op": "replace", "path": "/spec", "value": good_spec()}]
        self._server.request("PATCH", f"{self._path}/{name}", patch, patch="json")

    def all(self) -> dict[str, dict[str, Any]]:
        """Every line by name."""
        return {line["metadata"]["name"]: line for line in self._server.request("GET", self._path)["items"]}

    def delete(self) -> None:
        """Delete all of them."""
        self._server.request("DELETE", self._path)


def is_settled(line: dict[str, Any]) -> bool:
    return bool(line.get("status", {}).get("observedGeneration") == line["metadata"]["generation"])


def holds(line: dict[str, Any], condition: str) -> bool:
    return any(item["type"] == condition and item["status"] == "True" for item in line["status"]["conditions"])


def plans(world: World) -> dict[str, dict[str, Any]]:
    """The plan of each line that has a Job of a round or a rollback."""
    maps = world.server.request("GET", f"/api/v1/namespaces/{world.namespace}/configmaps")["items"]
    found = [json.loads(item["data"]["plan.json"]) for item in maps if "plan.json" in item.get("data", {})]
    return {plan["line"]: plan for plan in found if "number" not in plan}


def work(plan: dict[str, Any] | None) -> dict[str, Any]:
    """What a plan's spec says about the work; how the line is kept does not make a Job anew."""
    spec: dict[str, Any] = {} if plan is None else plan["spec"]
    return {name: value for name, value in spec.items() if name not in KEEPING}


def standing(line: dict[str, Any]) -> str:
    """How a line stands, without what differs from line to line anyway: times, names, versions."""
    status = copy.deepcopy(line["status"])
    for name in ("observedGeneration", "planDigest", "startTime", "discovery", "harvested"):
        status.pop(name, None)
    for condition in status["conditions"]:
        for name in ("lastTransitionTime", "observedGeneration"):
            condition.pop(name, None)
    text = json.dumps(status, sort_keys=True).replace(line["metadata"]["name"], "LINE")
    return re.sub(r"LINE-r1-[0-9a-f]{8}", "JOB", text)


@pytest.fixture(scope="module")
def operator(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all namespaces and all of the tests."""
    one = OperatorProcess.start(tmp_path_factory.mktemp("operator"), api_server.kubeconfig())
    yield one
    one.kill()


def judge(line: dict[str, Any], plan: dict[str, Any] | None, place: Place, value: object) -> None:
    """What was accepted is acted upon, or told."""
    told = f"{place} = {value!r}: {json.dumps(line['status'])}"
    if holds(line, "Stalled"):
        assert line["status"]["message"], told
        assert "spec" in line["status"]["message"], told
    elif plan is not None:
        document = {key: item for key, item in line.items() if key != "status"}
        assert plan["spec"] == json.loads(read(document, "line").spec.model_dump_json()), told
    else:
        assert holds(line, "Suspended") or line["status"]["state"] in {"Waiting", "UpToDate"}, told


def drawn(strategy: st.SearchStrategy[Any]) -> Any:
    """One example, the same in every run; what is done with it is too slow to be shrunk or repeated."""
    examples: list[Any] = []

    @settings(
        max_examples=1,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(example: Any) -> None:
        examples.append(example)

    keep()
    return examples[-1]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_spec__odd_values_are_refused_acted_upon_or_told_and_mended(
    world: World, operator: OperatorProcess, batch: int
) -> None:
    lines = Lines(world.server, world.namespace)
    made: dict[str, tuple[Place, Any]] = {}
    assert lines.make("good", good_spec()) is None
    for index, (place, schema) in enumerate(FIELDS[batch::BATCHES]):
        allowed, odd = values_of(schema), st.sampled_from(ODD)
        for number, value in enumerate(drawn(st.tuples(allowed, allowed, odd, odd))):
            name = f"odd-{index}-{number}"
            refusal = lines.make(name, put(good_spec(), place, value))
            if refusal is None:
                made[name] = (place, value)
            else:
                assert "spec" in refusal, f"{place} = {value!r}: {refusal}"
    wait_until("all have a status", lambda: all(map(is_settled, lines.all().values())), SETTLE_S)
    found, planned = lines.all(), plans(world)
    for name, (place, value) in made.items():
        judge(found[name], planned.get(name), place, value)
    assert operator.get("/healthz")[0] == 200, operator.words()
    for name in made:
        lines.mend(name)
    good, good_work = standing(lines.all()["good"]), work(plans(world)["good"])

    def worse() -> list[tuple[object, dict[str, Any]]]:
        time.sleep(PAUSE_S)  # to look costs more than to mend
        planned = plans(world)
        return [
            (made.get(name), line)
            for name, line in lines.all().items()
            if not is_settled(line) or standing(line) != good or work(planned.get(name)) != good_work
        ]

    try:
        wait_until("all stand as the good one", lambda: not worse(), SETTLE_S)
    except Exception as error:
        left = [(what, line["status"]["message"], standing(line)) for what, line in worse()]
        raise AssertionError(f"no way back for {len(left)}, such as {left[:2]}; good is {good}") from error
    assert operator.program.process.poll() is None, operator.words()
    assert operator.size_mib() < MEMORY_MIB, "hundreds of lines must not make it grow"
    lines.delete()
    wait_until("all are gone", lambda: not lines.all() and not world.jobs(), SETTLE_S)
