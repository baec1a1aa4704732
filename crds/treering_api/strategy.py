"""`strategy: auto` as a table: measures of a delivery and of the line → how the round learns, and why.

`TABLE` is to be read, and changed, as a table: the first row of a question whose conditions all hold answers it, and
rows of `policies` all count. A condition on a measure that is not known (yet) does not hold, and is named as open:
`treering plan` asks before any data is seen, the trainer after it was measured. Nothing here looks at a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from treering_api.fields import Block, Sentence
from treering_api.lineage import Lineage

Question = Literal["strategy", "learns", "policies"]
Measures = Mapping[str, float | None]
"""By name (see `MEASURES`); None or absent: not known."""

MEASURES: dict[str, str] = {
    "publishedModels": "models that the line has published",
    "donors": "models that the line was merged of, beside its base",
    "cost": "images shown in a full retraining over those in an incremental round",
    "deadlineShare": "time of a full retraining, by the pace of the last round, over spec.deadline",
    "newImages": "train images of the delivery",
    "newShare": "new train images over those learned before",
    "newClasses": "classes that the line does not know",
    "classOverlap": "share of the delivery's boxes that are of known classes, 0 to 1",
    "driftAuc": "how well new images are told from old ones, .5 to 1",
    "driftSum": "drift added up since the last full training, 0 and up; 1 is all that a delivery can bring",
    "roundsSinceFull": "published rounds since the last full training",
    "memoryImages": "images that the line remembers",
    "imbalance": "boxes of the commonest class over those of the rarest",
    "gpuMemoryGib": "memory of the GPU in GiB",
}

DONORS_ALONE = "what the donors taught has no labelled pictures that it could be learned from anew"
GIVEN = ("publishedModels", "donors")
"""Measures that can't be otherwise in this round, whatever is delivered."""


@dataclass(frozen=True)
class Condition:
    """A measure against a limit."""

    measure: str
    relation: Literal["<=", ">="]
    limit: float

    def holds(self, measures: Measures) -> bool:
        """Whether it is known and so."""
        value = measures.get(self.measure)
        if value is None:
            return False
        return value <= self.limit if self.relation == "<=" else value >= self.limit

    def words(self, measures: Measures) -> str:
        """`cost at most 1.25 (is 3.4)`."""
        value = measures.get(self.measure)
        bound = "at most" if self.relation == "<=" else "at least"
        return (
            f"{self.measure} {bound} {_number(self.limit)} ({'not known' if value is None else f'is {_number(value)}'})"
        )


@dataclass(frozen=True)
class Row:
    """One row: where all conditions hold, the question is answered so.

    Args:
        because: a sentence with the measures in braces, `{cost:.2f}`.
        policies: blocks of `spec.policies` that follow, by field, as plain data.
    """

    question: Question
    answer: str
    conditions: tuple[Condition, ...]
    because: str
    policies: Mapping[str, Mapping[str, Any]]


def at_most(measure: str, limit: float) -> Condition:
    """The measure is known and not above the limit."""
    return Condition(measure, "<=", limit)


def at_least(measure: str, limit: float) -> Condition:
    """The measure is known and not below the limit."""
    return Condition(measure, ">=", limit)


def _staged() -> dict[str, Any]:
    return {"unfreeze": {"schedule": "twoStage"}}


def _head_only() -> dict[str, Any]:
    return {"unfreeze": {"schedule": "custom", "stages": [{"learns": "head"}]}}


# fmt: off
TABLE: tuple[Row, ...] = (
    Row("strategy", "full", (at_most("publishedModels", 0),),
        "the line has no model yet: its first round trains from the base weights", {}),
    Row("strategy", "incremental", (at_least("donors", 1),),
        f"merged of several models: {DONORS_ALONE}", {}),
    Row("strategy", "incremental", (at_least("deadlineShare", 1),),
        "retraining on all would take {deadlineShare:.1f} times spec.deadline", {}),
    Row("strategy", "full", (at_most("cost", 1.25),),
        "retraining on all costs only {cost:.2f} times as much", {}),
    Row("strategy", "full", (at_most("cost", 1.5), at_least("driftAuc", 0.9), at_least("classOverlap", 0.5)),
        "known classes look unlike before (AUC {driftAuc:.2f}), retraining on all costs {cost:.2f} times as much", {}),
    Row("strategy", "incremental", (),
        "retraining on all would cost {cost:.1f} times as much", {}),

    Row("learns", "head", (at_least("gpuMemoryGib", 0.1), at_most("gpuMemoryGib", 3)),
        "the GPU has {gpuMemoryGib:.1f} GiB: the head alone fits", _head_only()),
    Row("learns", "staged", (at_least("newClasses", 1), at_most("newImages", 20), at_most("newShare", 0.25)),
        "{newImages:.0f} images bring new classes: head and neck learn first", _staged()),
    Row("learns", "head", (at_most("newClasses", 0), at_most("driftAuc", 0.6), at_most("newShare", 0.02)),
        "more of the same (AUC {driftAuc:.2f}), a {newShare:.0%} addition: the head is enough", _head_only()),
    Row("learns", "whole", (),
        "all of the network learns", {}),

    Row("policies", "batchNorm", (at_least("driftAuc", 0.8), at_most("newClasses", 0)),
        "the images changed (AUC {driftAuc:.2f}): statistics are measured anew",
        {"batch_norm": {"statistics": "recalibrated"}}),
    Row("policies", "classBalance", (at_least("imbalance", 20),),
        "the commonest class has {imbalance:.0f} times the boxes of the rarest",
        {"class_balance": {"sampling": "repeatFactor"}}),
    Row("policies", "distill", (at_most("memoryImages", 0), at_least("newClasses", 1)),
        "nothing is remembered: old classes are held by the published model's outputs",
        {"distill": {"weight": 1.0}}),
    Row("policies", "weightMerge", (at_most("memoryImages", 0), at_most("newClasses", 0), at_least("driftAuc", 0.8)),
        "nothing is remembered and the images changed: a point between old and new weights",
        {"weight_merge": {"by": "part"}}),
)
# fmt: on


class Choice(Block):
    """One question answered."""

    question: Question = Field(description="What was asked.")
    answer: str = Field(description="The choice.")
    reason: Sentence = Field(description="Why, with its numbers.")


class Decision(Block):
    """What auto chose, why, and what would have changed it."""

    choices: tuple[Choice, ...] = Field(description="Strategy, what learns, and a line for each policy that follows.")
    would_change: tuple[Sentence, ...] = Field(default=(), description="What would have made it choose otherwise.")
    open: tuple[str, ...] = Field(default=(), description="Measures that the table asks for and that are not known.")
    policies: dict[str, dict[str, Any]] = Field(
        default={}, description="Blocks of spec.policies that follow, by field."
    )
    measures: dict[str, float] = Field(default={}, description="What it was chosen by.")

    def answer(self, question: Question) -> str:
        """The choice on a question that has one answer."""
        return next(choice.answer for choice in self.choices if choice.question == question)

    def reason(self, question: Question) -> str:
        """Why."""
        return next(choice.reason for choice in self.choices if choice.question == question)


def decide(measures: Measures, table: tuple[Row, ...] = TABLE) -> Decision:
    """Go through the table.

    Args:
        measures: what is known, by name; may lack any.
    """
    strategy = _first("strategy", measures, table)
    rows = [strategy]
    if strategy.answer == "incremental":
        rows.append(_first("learns", measures, table))
        rows += [row for row in table if row.question == "policies" and _holds(row, measures)]
    policies: dict[str, dict[str, Any]] = {}
    for row in rows:
        policies |= {field: dict(block) for field, block in row.policies.items()}
    known = {name: float(value) for name, value in measures.items() if value is not None}
    asked = [condition.measure for row in table for condition in row.conditions]
    return Decision(
        choices=tuple(Choice(question=row.question, answer=row.answer, reason=_because(row, known)) for row in rows),
        would_change=tuple(_counterfactuals(rows, measures, table)),
        open=tuple(name for name in dict.fromkeys(asked) if name not in known),
        policies=policies,
        measures={name: value for name, value in known.items() if name in MEASURES},
    )


def known_measures(lineage: Lineage, donors: int) -> dict[str, float | None]:
    """What a line's history and spec alone tell, before any data is seen.

    Args:
        donors: how many `spec.model.donors` names.
    """
    published = sum(item.model is not None for item in lineage.rounds)
    return {
        "publishedModels": float(published or (lineage.current is not None)),
        "donors": float(donors),
        "driftSum": lineage.drift_sum,
        "roundsSinceFull": float(len(lineage.since_full)),
    }


def _first(question: Question, measures: Measures, table: tuple[Row, ...]) -> Row:
    return next(row for row in table if row.question == question and _holds(row, measures))


def _holds(row: Row, measures: Measures) -> bool:
    return all(condition.holds(measures) for condition in row.conditions)


def _because(row: Row, known: Mapping[str, float]) -> str:
    try:
        return row.because.format(**known)
    except KeyError:  # the last row of a question asks for nothing and may speak of what is not known
        return "nothing that is known speaks for another choice"


def _counterfactuals(rows: list[Row], measures: Measures, table: tuple[Row, ...]) -> list[str]:
    """For each question, the nearest row of every other answer: what fails in it."""
    told = []
    for chosen in rows:
        if chosen.question == "policies":
            continue
        nearest: dict[str, list[Condition]] = {}
        for row in table[: table.index(chosen)]:
            failing = [condition for condition in row.conditions if not condition.holds(measures)]
            if row.question != chosen.question or row.answer == chosen.answer or _is_given(failing, measures):
                continue
            if row.answer not in nearest or len(failing) < len(nearest[row.answer]):
                nearest[row.answer] = failing
        told += [
            f"{answer} with {' and '.join(condition.words(measures) for condition in failing)}"
            for answer, failing in nearest.items()
        ]
        if chosen.conditions and not _is_given(chosen.conditions, measures):
            last = _first_without(chosen, measures, table)
            kept = " and ".join(condition.words(measures) for condition in chosen.conditions)
            if last.answer != chosen.answer:
                told.append(f"{last.answer} without {kept}")
    return told


def _is_given(conditions: Sequence[Condition], measures: Measures) -> bool:
    """Whether they speak of what can't be otherwise now, or of what is not known: that is told as open."""
    names = [condition.measure for condition in conditions]
    return any(name in GIVEN or measures.get(name) is None for name in names)


def _first_without(chosen: Row, measures: Measures, table: tuple[Row, ...]) -> Row:
    return _first(chosen.question, measures, tuple(row for row in table if row is not chosen))


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
