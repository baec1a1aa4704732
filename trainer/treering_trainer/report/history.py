"""A line's past as tables: its rounds with their verdicts, and every class over the rounds.

Called by `pages`. A round may be linked only where its page exists, which the caller knows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from treering_api.lineage import RoundSummary
from treering_trainer.records import RoundRecord
from treering_trainer.report.comparison import class_rows

HEAT_ROUNDS = 24
RINGS = 7
REASON_LENGTH = 1024  # as long as a sentence of the lineage may be


@dataclass(frozen=True)
class RoundRow:
    """One round in a list; `link` is relative to the page, None where there is no page to go to."""

    summary: RoundSummary
    link: str | None
    current: bool

    @property
    def published(self) -> bool:
        """Whether the round's model became the line's model."""
        return self.summary.verdict == "published"


@dataclass(frozen=True)
class HeatCell:
    """A class in one round: mAP50, and its change against the model before on the same images."""

    score: float | None
    delta: float | None


@dataclass(frozen=True)
class HeatRow:
    """A class over the rounds of a `Heat`."""

    name: str
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True)
class Heat:
    """Classes by rounds, the newest `HEAT_ROUNDS` of them; `left_out` counts the older ones."""

    rounds: tuple[RoundRecord, ...]
    rows: tuple[HeatRow, ...]
    left_out: int


def page_name(number: int, attempt: int) -> str:
    """Where a round's page lies, relative to the line's page: `rounds/0002/attempt-1/report.html`."""
    return f"rounds/{number:04d}/attempt-{attempt}/report.html"


def round_rows(
    rounds: Sequence[RoundSummary], *, linked: Collection[int], folder: str = "", current: int | None = None
) -> tuple[RoundRow, ...]:
    """The rounds, newest first. `folder` leads from the page to the line's folder, `linked` are rounds with a page."""
    return tuple(
        RoundRow(
            summary,
            folder + page_name(summary.round, summary.attempt) if summary.round in linked else None,
            summary.round == current,
        )
        for summary in sorted(rounds, key=lambda one: one.round, reverse=True)
    )


def heat(records: Sequence[RoundRecord]) -> Heat:
    """Every class over the newest rounds, in the order the line learned them."""
    ordered = sorted(records, key=lambda record: record.round)
    shown = ordered[-HEAT_ROUNDS:]
    names = tuple(dict.fromkeys(name for record in ordered for name in record.prepare.classes))
    columns = [_column(record) for record in shown]
    rows = tuple(HeatRow(name, tuple(column.get(name, HeatCell(None, None)) for column in columns)) for name in names)
    return Heat(tuple(shown), rows, len(ordered) - len(shown))


def complete(rounds: Sequence[RoundSummary], record: RoundRecord) -> tuple[RoundSummary, ...]:
    """The rounds with the record's own, which joins the lineage only after its report is made."""
    if any(one.round == record.round for one in rounds):
        return tuple(rounds)
    judged = record.evaluate
    this = RoundSummary(
        round=record.round,
        attempt=record.attempt,
        increments=record.increments,
        strategy=record.analyse.strategy,
        reason=record.analyse.reason[:REASON_LENGTH],
        verdict="published" if record.gate.passed else "rejected",
        map50=judged.map50,
        map50_before=judged.map50_before,
        forgetting=judged.forgetting,
        gain=judged.gain,
        images=record.prepare.new_images,
        started=record.started,
        finished=record.finished,
        uri="",
    )
    return (*rounds, this)


def rings(rounds: Sequence[RoundSummary]) -> tuple[bool, ...]:
    """The newest rounds from the inside out, True for published: the tree's section at the head of a page."""
    return tuple(one.verdict == "published" for one in sorted(rounds, key=lambda one: one.round)[-RINGS:])


def _column(record: RoundRecord) -> dict[str, HeatCell]:
    """On the same images: an evaluation set that joined or grew since the last round is no change of the model."""
    return {row.name: HeatCell(row.map50.after, row.map50.delta) for row in class_rows(record)}
