"""Accumulation over simulated weeks: one big delivery, then small ones every two days."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.operator.decide.world import START, World, line_resource
from treering_api import Status

DAYS = 22
SMALL = 40
LOOKS_A_DAY = 2
Started = list[tuple[float, tuple[str, ...]]]


def stream(**discover: str | int) -> tuple[Started, World]:
    """Rounds that started, each with its day and its deliveries, and the world at the end."""
    interval = f"{24 // LOOKS_A_DAY - 1}h"  # a look takes its time, and the interval counts from its end
    world = World(line_resource(increments=[], discover={"uri": "s3://drop/cards/", "interval": interval, **discover}))
    started: Started = []
    world.deliver("big", 1000)
    for half in range(LOOKS_A_DAY * DAYS):
        world.now = max(world.now, START + timedelta(days=half / LOOKS_A_DAY))
        day, rest = divmod(half, LOOKS_A_DAY)
        if not rest and day and day % 2 == 0:
            world.deliver(f"small-{day:02d}", SMALL)
        world.quiet()
        for _ in range(4):
            started += [(_day(world), job.increments) for job in world.going("round")]
            if not world.going():
                break
            world.run_all()
            world.quiet()
    return started, world


def _day(world: World) -> float:
    return round((world.now - START) / timedelta(days=1), 1)


def _status(world: World) -> Status:
    return world.status()


def smalls(*days: int) -> tuple[str, ...]:
    return tuple(f"small-{day:02d}" for day in days)


@pytest.mark.parametrize(
    ("discover", "rounds"),
    [
        pytest.param(
            {"minImages": 100, "maxWait": "14d"},
            [(0.5, ("big",)), (6.5, smalls(2, 4, 6)), (12.5, smalls(8, 10, 12)), (18.5, smalls(14, 16, 18))],
            id="enough images",
        ),
        pytest.param(
            {"minImages": 500, "maxWait": "5d"},
            [(0.5, ("big",)), (7.0, smalls(2, 4, 6)), (13.0, smalls(8, 10, 12)), (19.0, smalls(14, 16, 18))],
            id="waited long enough",
        ),
        pytest.param(
            {"minImages": 1, "maxWait": "14d"},
            [(0.5, ("big",)), *((day + 0.5, smalls(day)) for day in range(2, 22, 2))],
            id="each by itself",
        ),
    ],
)
def test_stream__rounds_and_what_they_learn(discover: dict[str, str | int], rounds: Started) -> None:
    started, world = stream(**discover)
    assert [names for _, names in started] == [names for _, names in rounds]
    assert [day for day, _ in started] == pytest.approx([day for day, _ in rounds], abs=0.2)
    learned = [name for _, names in started for name in names]
    assert world.published == learned
    assert len(set(learned)) == len(learned)


def test_stream__what_waits_is_told() -> None:
    _, world = stream(minImages=100, maxWait="14d")
    seen = _status(world).discovery
    assert seen is not None
    assert seen.images == SMALL
    assert seen.waiting_for.startswith("40 images in 1 delivery here, 60 more needed (minImages)")
