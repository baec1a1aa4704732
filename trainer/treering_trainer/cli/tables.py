"""What the command line prints on standard output: tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from treering_api import RoundPlan, RoundSummary

if TYPE_CHECKING:
    from treering_trainer.api import LineStatus
    from treering_trainer.inspection import Inspection

_STYLES = {"error": "bold red", "quarantine": "red", "warning": "yellow", "info": "dim"}


def print_json(data: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(data, ensure_ascii=False), flush=True)


def print_text(text: str) -> None:
    """A line of text, as it is."""
    Console(soft_wrap=True, highlight=False, markup=False).print(text)


def print_rounds(rounds: Sequence[RoundSummary]) -> None:
    """Rounds as a table, and the way to the last one's report."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("round", "increment", "strategy", "verdict"):
        table.add_column(title, no_wrap=True)
    for title in ("images", "mAP50", "old before", "forgetting", "new classes"):
        table.add_column(title, justify="right", no_wrap=True)
    for item in rounds:
        style = "green" if item.verdict == "published" else "red"
        table.add_row(
            str(item.round),
            escape(", ".join(item.increments)),
            item.strategy,
            f"[{style}]{item.verdict}[/]",
            str(item.images),
            _score(item.map50),
            _score(item.map50_before),
            _points(item.forgetting),
            _score(item.gain),
        )
    table_console().print(table)
    for item in rounds:
        if item.verdict == "rejected":
            print_text(f"round {item.round}: {item.sentence}")
    print_text(f"report: {rounds[-1].uri}/report.html")


def print_status(status: LineStatus) -> None:
    """Where a line stands."""
    lineage, current = status.lineage, status.lineage.current
    step = status.next_step
    following = f"round {step.round}: {step.reason}" if isinstance(step, RoundPlan) else step.reason
    model = "none yet"
    if current is not None:
        model = f"round {current.round}, mAP50 {_score(current.map50)}, {len(current.classes)} classes: {', '.join(current.classes)}"
    rows = {
        "line": f"{status.line}  ({status.uri})",
        "model": model,
        "learned": ", ".join(lineage.learned) or "nothing yet",
        "passed over": ", ".join(lineage.skipped),
        "waiting": ", ".join(status.waiting) or "nothing",
        "held": lineage.held.reason if lineage.held else "",
        "next": following,
    }
    for name, text in rows.items():
        if text:
            print_text(f"{name:<12}{text}")


def print_findings(report: Inspection) -> None:
    """What a check of the data saw."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("data set", "kind", "split"):
        table.add_column(title)
    for title in ("images", "backgrounds", "quarantined", "boxes"):
        table.add_column(title, justify="right")
    for count in report.counts:
        boxes = ", ".join(f"{escape(name)} {number}" for name, number in count.boxes.items())
        row = (count.dataset, count.kind, count.split, str(count.images), str(count.backgrounds), str(count.quarantined))
        table.add_row(*row, boxes)
    console = table_console()
    console.print(table)
    for finding in report.findings:
        style = _STYLES[finding.severity]
        console.print(f"[{style}]{finding.severity}[/] {escape(finding.where)}: {escape(finding.found)}. {escape(finding.mend)}")


PIPE_WIDTH = 200
"""Columns for a file or a pipe, which can't say how wide it is."""


def table_console() -> Console:
    """The console for tables: as wide as the terminal."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=PIPE_WIDTH)


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}"
