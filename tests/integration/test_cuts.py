"""Cut at the k-th write, for every k of a line's life of two rounds: whatever is lost there, the end is the same.

The operator works through a proxy that either keeps the k-th write from the API server or loses its answer; then it is
killed as by a power cut and started again.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.conftest import World
from tests.plugins.api_proxy import ApiProxy, Cut
from tests.plugins.operators import Starter

INCREMENTS = ("first", "second")
WRITES = 15
"""So many writes has a life of two rounds, give or take `VARIATION`: two changes may fall into one status write."""
VARIATION = 2
TIMES = {"lastTransitionTime", "startTime", "completionTime", "updated", "time", "found"}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if name not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def end_state(world: World) -> dict[str, Any]:
    """What must not depend on where it was cut."""
    status = without_times(world.status())
    status.pop("harvested", None)  # UIDs of Jobs
    jobs = [
        (job["metadata"]["name"], sorted(one["type"] for one in job["status"]["conditions"] if one["status"] == "True"))
        for job in world.jobs()
    ]
    lineage = world.trainer.lineage("cards")
    return {
        "status": status,
        "jobs": jobs,
        "learned": lineage.learned,
        "rounds": [(one.round, one.increments, one.verdict, one.attempt) for one in lineage.rounds],
    }


def live(world: World, operators: Starter, proxy: ApiProxy, cut: tuple[int, Cut] | None) -> bool:
    """A life of two rounds, cut once; whether the cut came."""
    if cut is not None:
        proxy.cut_at(*cut)
    operator = operators("--no-leader-election", kubeconfig=proxy.kubeconfig())
    world.apply("cards", INCREMENTS[0])
    came, appended = False, False
    end_s = time.monotonic() + 90
    while True:
        assert time.monotonic() < end_s, (world.status(), operator.words())
        if proxy.cut.is_set():
            came = True
            operator.kill()
            proxy.mend()
            operator = operators("--no-leader-election", kubeconfig=proxy.kubeconfig())
        world.player.play()
        status = world.status()
        if status.get("state") == "UpToDate" and not appended:
            world.apply("cards", *INCREMENTS)
            appended = True
        learned = status.get("learned") == list(INCREMENTS) and status.get("state") == "UpToDate"
        if appended and learned and not proxy.cut.is_set():
            break
        time.sleep(0.02)
    time.sleep(0.5)  # what comes after the end counts, too
    operator.kill()
    return came


@pytest.fixture(scope="module")
def uncut() -> dict[str, Any]:
    """The end state of the life that was not cut, kept by the first test."""
    return {}


def test_life__without_a_cut(world: World, operators: Starter, api_proxy: ApiProxy, uncut: dict[str, Any]) -> None:
    live(world, operators, api_proxy, None)
    uncut["writes"] = len(api_proxy.writes)
    uncut["end"] = end_state(world)
    assert uncut["end"]["learned"] == INCREMENTS
    assert abs(uncut["writes"] - WRITES) <= VARIATION, f"set WRITES to what a life has now: {api_proxy.writes}"


@pytest.mark.parametrize("how", ["refused", "answer lost"])
@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_life__cut_at_a_write_ends_the_same(
    world: World, operators: Starter, api_proxy: ApiProxy, uncut: dict[str, Any], write: int, how: Cut
) -> None:
    if "end" not in uncut:
        pytest.fail("run the whole file: the first test says how the uncut life ends")
    came = live(world, operators, api_proxy, (write, how))
    assert came or write >= WRITES - VARIATION, "a life has about as many writes each time"
    assert end_state(world) == uncut["end"]
