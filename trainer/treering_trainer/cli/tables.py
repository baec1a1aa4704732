"""What the command line prints on standard output: tables, short texts and JSON.

Tables fit into 80 columns; into a file or a pipe they are written wide, without colours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from treering_api import ModelRef, Rollback, RoundPlan, RoundSummary, Waiting

if TYPE_CHECKING:
    from treering_trainer.api import LineStatus
    from treering_trainer.inspection import Inspection

PIPE_WIDTH = 200
"""Columns for a file or a pipe, which can't say how wide it is."""
_STYLES = {"error": "bold red", "quarantine": "red", "warning": "yellow", "info": "dim"}
_LABEL = 10
NOTHING = "-"


def print_json(data: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(data, ensure_ascii=False), flush=True)


def print_text(text: str) -> None:
    """A line of text, as it is."""
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(text)


def print_fields(fields: dict[str, str]) -> None:
    """Names and texts below each other; empty ones are left out, long ones go on below themselves."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in fields.items():
        if text:
            table.add_row(f"[bold]{name}[/]", escape(text))
    table_console().print(table)


def print_rounds(rounds: Sequence[RoundSummary]) -> None:
    """Rounds as a table, what the gate said of rejected ones, and the way to the last one's report."""
    table = make_table("round", "increment", "strategy", "verdict", right=("images", "mAP50", "before", "lost", "new"))
    for item in rounds:
        style = "green" if item.verdict == "published" else "red"
        table.add_row(
            str(item.round),
            escape(", ".join(item.increments)),
            item.strategy,
            f"[{style}]{item.verdict}[/]",
            str(item.images),
            score(item.map50),
            score(item.map50_before),
            points(item.forgetting),
            score(item.gain),
        )
    table_console().print(table)
    print_text("before, lost: old classes' mAP50 before, points lost · new: new classes' mAP50")
    for item in rounds:
        if item.verdict == "rejected":
            print_text(f"round {item.round}: {item.sentence}")
    print_text(f"report: {rounds[-1].uri}/report.html")


def print_models(models: Sequence[tuple[ModelRef, bool]]) -> None:
    """Published models, the current one marked."""
    table = make_table("", "round", "mAP50", "classes", "folder")
    for model, current in models:
        mark = "[green]→[/]" if current else ""
        table.add_row(mark, str(model.round), score(model.map50), escape(", ".join(model.classes)), escape(model.uri))
    table_console().print(table)
    print_text("→ is the line's model. Get one: treering models fetch LINE.yaml FOLDER [--round N]")


def print_status(status: LineStatus) -> None:
    """Where a line stands."""
    lineage, current = status.lineage, status.lineage.current
    model = "none yet"
    if current is not None:
        model = f"round {current.round}, mAP50 {score(current.map50)}, classes {', '.join(current.classes)}"
    fields = {
        "line": status.line,
        "store": status.uri,
        "model": model,
        "learned": ", ".join(lineage.learned) or "nothing yet",
        "rejected": ", ".join(lineage.skipped),
        "waiting": ", ".join(status.waiting) or "nothing",
        "held": lineage.held.reason if lineage.held else "",
        "next": describe_step(status.next_step),
    }
    print_fields(fields)
    if status.recent:
        print_text("")
        print_rounds(status.recent)


def describe_step(step: RoundPlan | Rollback | Waiting) -> str:
    """What a run would do, in a sentence."""
    if isinstance(step, RoundPlan):
        return f"round {step.round}: {step.reason}"
    if isinstance(step, Rollback):
        return f"back to round {step.round}: {step.reason}"
    return f"nothing: {step.reason}"


def print_inspection(report: Inspection) -> None:
    """What a check of the data saw, the worst first."""
    table = make_table("data set", "kind", "split", right=("images", "empty", "set aside"), last="boxes")
    for count in report.counts:
        if count.images or count.quarantined:
            boxes = ", ".join(f"{name} {number}" for name, number in count.boxes.items() if number)
            numbers = (str(count.images), str(count.backgrounds), str(count.quarantined))
            table.add_row(escape(count.dataset), count.kind, count.split, *numbers, escape(boxes))
    console = table_console()
    console.print(table)
    for finding in report.findings:
        style = _STYLES[finding.severity]
        text = f"{escape(finding.where)}: {escape(finding.found)}. {escape(finding.mend)}"
        console.print(f"[{style}]{finding.severity}[/] {text}", soft_wrap=True)


def make_table(*left: str, right: Sequence[str] = (), last: str | None = None) -> Table:
    """A table without lines; the columns named `increment`, `classes`, `folder` and the last one may break."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in left:
        table.add_column(title, no_wrap=title not in ("increment", "classes", "folder"), overflow="fold")
    for title in right:
        table.add_column(title, justify="right", no_wrap=True)
    if last is not None:
        table.add_column(last, overflow="fold")
    return table


def table_console() -> Console:
    """The console for tables: as wide as the terminal."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=PIPE_WIDTH)


def score(value: float | None) -> str:
    """A mAP for people."""
    return NOTHING if value is None else f"{value:.3f}"


def points(value: float | None) -> str:
    """A difference of mAP in points, with its sign."""
    return NOTHING if value is None else f"{100 * value:+.1f}".replace("-0.0", "+0.0")
