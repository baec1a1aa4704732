"""The tables: on the terminal, and as Markdown for `bench/README.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.retention.summary import Spread, Summary

COLUMNS = (
    "method", "rate", "seeds", "mAP50 all", "old", "new", "mAP50-95 all", "old", "new", "% of joint", "forgotten",
    "passes", "/ joint", "seconds / joint",
)  # fmt: skip
NARROW = (0, 3, 4, 5, 9, 10, 12, 13)
"""Columns that are shown where not all of them fit."""
WIDE = 190
NOTE = (
    "Mean over seeds ± standard deviation. forgotten: points of mAP50 lost on what was known before, over all "
    "deliveries after the first; negative is a gain. passes: image passes of those rounds, a forward pass counted as a "
    "third; / joint: beside joint training after each of them. seconds: the whole round, in units of the speed probe "
    "beside it; *: a round was cut off in between and has none."
)


def line(item: Summary) -> tuple[str, ...]:
    """One method's row."""
    return (
        item.method,
        "own" if item.rate is None else f"{item.rate:g}",
        str(len(item.seeds)),
        *(score(value) for value in (item.all, item.old, item.new, item.all_95, item.old_95, item.new_95)),
        number(item.percent, "{:.1f}"),
        number(item.forgotten, "{:+.1f}"),
        number(item.passes, "{:,.0f}", spread=False),
        number(item.passes_beside_joint, "{:.2f}", spread=False),
        number(item.seconds_beside_joint, "{:.2f}") + ("*" if item.restarted else ""),
    )


def score(value: Spread | None) -> str:
    """A score between 0 and 1, with its spread where there are several seeds."""
    return number(value, "{:.3f}").replace("0.", ".")


def number(value: Spread | None, form: str, *, spread: bool = True) -> str:
    """A figure with its spread, a hyphen where there is none."""
    if value is None:
        return "-"
    wide = f" ± {form.replace('+', '').format(value.std)}" if spread and value.low != value.high else ""
    return f"{form.format(value.mean)}{wide}"


def by_scenario(found: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Summaries by scenario, in order."""
    groups: dict[str, list[Summary]] = {}
    for item in found:
        groups.setdefault(item.scenario, []).append(item)
    return groups


def markdown(found: Sequence[Summary]) -> str:
    """Every scenario's two tables: methods, and mAP50 of every class."""
    parts = []
    for scenario, items in by_scenario(found).items():
        parts.append(f"### {scenario}\n\n{_pipes(COLUMNS, [line(item) for item in items])}")
        cells = list(dict.fromkeys(cell for item in items for cell in item.per_class))
        rows = [(item.method, *(f"{item.per_class.get(cell, 0.0):.3f}" for cell in cells)) for item in items]
        parts.append(_pipes(("mAP50 of", *cells), rows))
    return "\n\n".join([*parts, NOTE])


def show(found: Sequence[Summary], console: Console | None = None) -> None:
    """Every scenario's table on the terminal."""
    # Where nobody looks, a file or a log, it is as wide as it must be
    console = console or Console(width=None if sys.stdout.isatty() else WIDE)
    places = range(len(COLUMNS)) if console.width >= WIDE else NARROW
    for scenario, items in by_scenario(found).items():
        table = Table(title=scenario, title_justify="left")
        for place in places:
            table.add_column(COLUMNS[place], justify="right" if place else "left", no_wrap=place == 0)
        for item in items:
            cells = line(item)
            table.add_row(*(cells[place] for place in places))
        console.print(table)
    console.print(NOTE, soft_wrap=True)


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
