"""The round in a few sentences: published or rejected, why, and what that changed.

Called by `pages`. Says only what the record says; the gate's own sentences are quoted, not reworded.
"""

from __future__ import annotations

from dataclasses import dataclass

from treering_trainer.records import RoundRecord
from treering_trainer.report.comparison import ClassRow, class_rows
from treering_trainer.report.wording import MINUS, counted, listed, short, unsigned_points

_NOTEWORTHY = 0.005  # half a point: less is noise on sets of a few hundred images


@dataclass(frozen=True)
class Verdict:
    """The head of the page: a title, the gate's sentence and a few sentences about what changed."""

    published: bool
    title: str
    reason: str
    changes: tuple[str, ...]


def judge(record: RoundRecord) -> Verdict:
    """Put the round's outcome into words."""
    passed = record.gate.passed
    title = f"Round {record.round} was {'published' if passed else 'rejected'}"
    sentences = (_learned(record), _kept(record), _moved(record))
    return Verdict(passed, title, record.gate.sentence, tuple(sentence for sentence in sentences if sentence))


def _learned(record: RoundRecord) -> str:
    new = record.evaluate.new_classes
    if not new:
        return "No new classes came in this round."
    gain = record.evaluate.gain
    how_well = "; no evaluation set has them" if gain is None else f", found with mAP50 {gain:.3f}"
    return f"{counted(len(new), 'new class', 'new classes')}: {listed(new)}{how_well}."


def _kept(record: RoundRecord) -> str:
    forgetting = record.evaluate.forgetting
    if forgetting is None:
        return (
            "" if record.evaluate.old_classes else "This is where the line starts: there is no model to compare with."
        )
    old = counted(len(record.evaluate.old_classes), "old class", "old classes")
    if abs(forgetting) < _NOTEWORTHY / 10:
        return f"The {old} kept their score."
    verb = "lost" if forgetting > 0 else "gained"
    return f"The {old} {verb} {unsigned_points(forgetting)} on average."


def _moved(record: RoundRecord) -> str:
    moved = [(row, row.map50.delta) for row in class_rows(record) if row.map50.delta is not None]
    moved.sort(key=lambda pair: pair[1])
    fallen = [pair for pair in moved[:1] if pair[1] < -_NOTEWORTHY]
    risen = [pair for pair in moved[-1:] if pair[1] > _NOTEWORTHY]
    parts = [_extreme("The largest loss", *pair) for pair in fallen] + [
        _extreme("the largest rise" if fallen else "The largest rise", *pair) for pair in risen
    ]
    return f"{', '.join(parts)}." if parts else ""


def _extreme(what: str, row: ClassRow, delta: float) -> str:
    return f"{what}: {short(row.name)} ({'+' if delta > 0 else MINUS}{unsigned_points(delta)})"
