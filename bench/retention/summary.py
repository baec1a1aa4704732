"""What follows from the rows: percent of joint, points forgotten, cost beside joint, means and spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.retention.book import MAP50, MAP50_95, Row
from bench.retention.methods import FIRST, METHODS

JOINT = "joint"


@dataclass(frozen=True)
class Spread:
    """One figure over seeds; `std` is 0 for one seed."""

    mean: float
    low: float
    high: float
    std: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Over the values that there are; None without any."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(statistics.mean(known), min(known), max(known), statistics.stdev(known) if len(known) > 1 else 0.0)


@dataclass(frozen=True)
class Summary:
    """One method in one scenario at its best learning rate, over seeds, after the last delivery.

    Args:
        rate: None: the method's own.
        seeds: that went through the whole course.
        all: mAP50; so are `old` and `new`.
        percent: of joint training's mAP50 with the same seed.
        forgotten: points of mAP50 (hundredths) lost on what was known, the sum over the deliveries.
        passes: passes of training in all rounds after the first, a forward pass counted as a third.
        passes_beside_joint: these beside joint training's after each of those deliveries.
        seconds_beside_joint: the same of seconds, each in units of its own speed probe.
        restarted: whether a round was cut off in between, so that its seconds are left out.
    """

    scenario: str
    method: str
    rate: float | None
    seeds: tuple[int, ...]
    all: Spread | None
    old: Spread | None
    new: Spread | None
    all_95: Spread | None
    old_95: Spread | None
    new_95: Spread | None
    percent: Spread | None
    forgotten: Spread | None
    passes: Spread | None
    seconds: Spread | None
    passes_beside_joint: Spread | None
    seconds_beside_joint: Spread | None
    per_class: dict[str, float]
    restarted: bool


def summarise(rows: Sequence[Row]) -> list[Summary]:
    """One summary for each method of each scenario that came to the end of the course with some seed."""
    found = []
    for scenario in dict.fromkeys(row.scenario for row in rows):
        mine = [row for row in rows if row.scenario == scenario and row.method != FIRST]
        names = {row.method for row in mine}
        ordered = [name for name in METHODS if name in names] + sorted(names - METHODS.keys())
        for method in ordered:
            best = best_rate([row for row in mine if row.method == method])
            if best is not None:
                found.append(_summary(scenario, method, best[0], rows))
    return found


def best_rate(rows: Sequence[Row]) -> tuple[float | None] | None:
    """The rate with the best mean mAP50 after the last delivery, over the seeds that all rates have; None: no such row.

    The hold-out chooses: every method, joint too, has that same freedom.
    """
    ends = [row for row in rows if row.step == row.steps]
    if not ends:
        return None
    seeds = {rate: {row.seed for row in ends if row.rate == rate} for rate in dict.fromkeys(row.rate for row in ends)}
    fair = set.intersection(*seeds.values()) or set.union(*seeds.values())

    def worth(rate: float | None) -> float:
        return _mean([row.mean("all") or 0.0 for row in ends if row.rate == rate and row.seed in fair])

    return (max(seeds, key=worth),)


def derived(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """What the file says of a row beside its own numbers."""
    joint = _joint(rows, row.scenario, row.seed, row.step)
    return {
        "map50": {which: row.mean(which) for which in ("all", "old", "new")},
        "map50_95": {which: row.mean(which, MAP50_95) for which in ("all", "old", "new")},
        "passes": row.cost.passes,
        "percent_of_joint": _percent(row, joint),
        "forgotten_points": forgotten(row, rows),
    }


def forgotten(row: Row, rows: Sequence[Row]) -> float | None:
    """Points of mAP50 lost by this delivery on what the model before it knew; negative is a gain."""
    before = _before(row, rows)
    if before is None or not row.known or row.method == JOINT:
        return None
    had = [before.scores.get(cell, (0.0,))[MAP50] for cell in row.known]
    return 100 * (_mean(had) - (row.mean("known") or 0.0))


def seconds_beside_joint(row: Row, joint: Row | None) -> float | None:
    """This training's seconds over what joint training of the same deliveries takes on the same machine.

    Both are divided by the speed probe that was taken beside them, so that one that was measured at another time, by
    other neighbours, compares. Joint training's seconds grow with its passes.
    """
    mine, other = row.cost, joint.cost if joint else None
    if other is None or not (mine.seconds and mine.probe_s and other.seconds and other.probe_s):
        return None
    per_pass = other.seconds / other.probe_s / other.image_passes
    return mine.seconds / mine.probe_s / (per_pass * row.joint_passes)


def _summary(scenario: str, method: str, rate: float | None, rows: Sequence[Row]) -> Summary:
    mine = [row for row in rows if (row.scenario, row.method, row.rate) == (scenario, method, rate)]
    ends = sorted((row for row in mine if row.step == row.steps), key=lambda row: row.seed)
    runs = {row.seed: [other for other in mine if other.seed == row.seed] for row in ends}
    last = {row.seed: _joint(rows, scenario, row.seed, row.step) for row in ends}
    cells = dict.fromkeys(cell for row in ends for cell in (*row.old, *row.new))
    return Summary(
        scenario=scenario,
        method=method,
        rate=rate,
        seeds=tuple(row.seed for row in ends),
        all=Spread.of(row.mean("all") for row in ends),
        old=Spread.of(row.mean("old") for row in ends),
        new=Spread.of(row.mean("new") for row in ends),
        all_95=Spread.of(row.mean("all", MAP50_95) for row in ends),
        old_95=Spread.of(row.mean("old", MAP50_95) for row in ends),
        new_95=Spread.of(row.mean("new", MAP50_95) for row in ends),
        percent=Spread.of(_percent(row, last[row.seed]) for row in ends),
        forgotten=Spread.of(_total([forgotten(item, rows) for item in run]) for run in runs.values()),
        passes=Spread.of(sum(item.cost.passes for item in run) for run in runs.values()),
        seconds=Spread.of(_total([item.cost.seconds for item in run]) for run in runs.values()),
        passes_beside_joint=Spread.of(_passes_beside(run) for run in runs.values()),
        seconds_beside_joint=Spread.of(_seconds_beside(run, last[seed]) for seed, run in runs.items()),
        per_class={cell: _mean([row.scores.get(cell, (0.0,))[MAP50] for row in ends]) for cell in cells},
        restarted=any(item.cost.seconds is None for run in runs.values() for item in run),
    )


def _passes_beside(run: Sequence[Row]) -> float:
    return sum(row.cost.passes for row in run) / sum(row.joint_passes for row in run)


def _seconds_beside(run: Sequence[Row], joint: Row | None) -> float | None:
    """Weighted by what joint training would take at each place."""
    shares = [seconds_beside_joint(row, joint) for row in run]
    weighted = [share * row.joint_passes for share, row in zip(shares, run, strict=True) if share is not None]
    return sum(weighted) / sum(row.joint_passes for row in run) if len(weighted) == len(run) else None


def _joint(rows: Sequence[Row], scenario: str, seed: int, step: int) -> Row | None:
    """Joint training at its own best rate."""
    mine = [row for row in rows if (row.scenario, row.method) == (scenario, JOINT)]
    best = best_rate(mine)
    found = [row for row in mine if best and (row.rate, row.seed, row.step) == (best[0], seed, step)]
    return found[0] if found else None


def _before(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row of the model that this one was learned on."""
    method, rate = (FIRST, None) if row.step == 2 else (row.method, row.rate)
    wanted = (row.scenario, method, row.seed, rate, row.step - 1)
    return next((other for other in rows if other.key == wanted), None)


def _percent(row: Row, joint: Row | None) -> float | None:
    best, mine = joint.mean("all") if joint else None, row.mean("all")
    return 100 * mine / best if best and mine is not None else None


def _total(values: Sequence[float | None]) -> float | None:
    """The sum, None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
