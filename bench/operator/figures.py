"""The numbers: percentiles, ratios, and the table that a person reads. Pure functions of what the phases measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_ROWS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("all at once: last {child} after", "burst.{child}.all_s", "{:.1f} s".format),
    ("all at once: half of them after", "burst.{child}.p50_s", "{:.1f} s".format),
    ("steady events: to {child}, p50", "events.{child}.p50_s", "{:.3f} s".format),
    ("steady events: to {child}, p99", "events.{child}.p99_s", "{:.3f} s".format),
    ("steady events: never answered by {child}", "events.{child}.missing", "{:.0f}".format),
    ("API calls per round of a line", "calls.per_line", "{:.1f}".format),
    ("API calls per further event", "calls.per_event", "{:.1f}".format),
    ("memory at rest, all lines standing", "memory.rest_mib", "{:.0f} MiB".format),
    ("memory at most", "memory.peak_mib", "{:.0f} MiB".format),
    ("memory at most, after a restart", "memory.restarted_peak_mib", "{:.0f} MiB".format),
    ("processor time, all at once", "processor.burst_s", "{:.1f} s".format),
    ("processor time, steady events", "processor.events_s", "{:.1f} s".format),
    ("restart: first change acted on after", "restart.{child}.first_s", "{:.1f} s".format),
    ("restart: last change acted on after", "restart.{child}.all_s", "{:.1f} s".format),
)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latencies(starts: Mapping[str, float], arrivals: Mapping[str, float]) -> dict[str, float | int | None]:
    """Percentiles of what arrived, and how many did not; one that is missing counts as slower than every other.

    A percentile that falls among the missing ones is None.
    """
    found = [arrivals[key] - start if key in arrivals else math.inf for key, start in starts.items()]
    row: dict[str, float | int | None] = {"count": len(found), "missing": sum(map(math.isinf, found))}
    for name, share in (("p50_s", 0.5), ("p90_s", 0.9), ("p99_s", 0.99), ("max_s", 1.0)):
        value = percentile(found, share)
        row[name] = None if math.isinf(value) else value
    return row


def waits(start: float, keys: Sequence[str], arrivals: Mapping[str, float]) -> dict[str, float | int | None]:
    """How long after one common start the first, the middle and the last child arrived."""
    row = latencies(dict.fromkeys(keys, start), arrivals)
    first = min((arrivals[key] - start for key in keys if key in arrivals), default=None)
    return {"missing": row["missing"], "first_s": first, "p50_s": row["p50_s"], "all_s": row["max_s"]}


def ratios(mine: Mapping[str, Any], peer: Mapping[str, Any], child: str, peer_child: str) -> dict[str, float]:
    """The peer's figure by ours, row by row: above 1 is better for us; rows without both figures are left out."""
    found = {}
    for _, path, _ in _ROWS:
        ours, theirs = _get(mine, path.format(child=child)), _get(peer, path.format(child=peer_child))
        if ours and theirs:
            found[path.replace("{child}", "child")] = round(theirs / ours, 2)
    return found


def table(sides: Mapping[str, Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    """A Markdown table: a column for each (side, its child), a row for each figure."""
    head = ["| |", *(f" {side} ({child}) |" for side, child in columns)]
    rows = ["".join(head), "|---|" + "---:|" * len(columns)]
    for words, path, show in _ROWS:
        cells = [_cell(sides[side], path.format(child=child), show) for side, child in columns]
        rows.append(f"| {words.format(child='child')} |" + "".join(f" {cell} |" for cell in cells))
    return "\n".join(rows)


def _cell(figures: Mapping[str, Any], path: str, show: Callable[[float], str]) -> str:
    value = _get(figures, path)
    return "-" if value is None else show(value)


def _get(figures: Mapping[str, Any], path: str) -> float | None:
    value: Any = figures
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None
