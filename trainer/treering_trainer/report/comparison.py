"""What a round changed: the previous model and the new one side by side, by group, by class and by evaluation set.

Called by `pages` and `history`. Only reads the record: the numbers of the groups are the ones the gate judged, never
computed a second time. A class that the previous model did not know has no `before`, whatever was measured for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from treering_trainer.records import ClassScore, RoundRecord, SetScore


@dataclass(frozen=True)
class Change:
    """A score before and after, between 0 and 1; None where it was not or can't be measured."""

    before: float | None
    after: float | None

    @property
    def delta(self) -> float | None:
        """After minus before, None unless both are known."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class GroupRow:
    """All classes, the old ones or the new ones."""

    title: str
    classes: int
    map50: Change


@dataclass(frozen=True)
class ClassRow:
    """One class over all evaluation sets; `index` is its place in the head. Means are over the sets that have it."""

    index: int
    name: str
    is_new: bool
    map50: Change
    map50_95: float | None
    precision: float | None
    recall: float | None
    instances: int
    floor: float | None


@dataclass(frozen=True)
class SetRow:
    """One evaluation set: a hold-out or an increment's val, that is, one period."""

    index: int
    name: str
    kind: str
    images: int
    old: Change
    new: float | None
    overall: float | None


def group_rows(record: RoundRecord) -> tuple[GroupRow, ...]:
    """The rows all, old and new; the latter two only where there are such classes."""
    judged = record.evaluate
    before, forgetting = judged.map50_before, judged.forgetting
    old_after = None if before is None or forgetting is None else before - forgetting
    rows = [GroupRow("All classes", len(record.prepare.classes), Change(_before_of_all(record), judged.map50))]
    if judged.old_classes:
        rows.append(GroupRow("Old classes", len(judged.old_classes), Change(before, old_after)))
    if judged.new_classes:
        rows.append(GroupRow("New classes", len(judged.new_classes), Change(None, judged.gain)))
    return tuple(rows)


def class_rows(record: RoundRecord) -> tuple[ClassRow, ...]:
    """One row per class of the union in head order, also for classes that no evaluation set has."""
    floors = {check.subject: check.limit for check in record.gate.checks if check.rule == "classFloor"}
    return tuple(_class_row(record, index, name, floors) for index, name in enumerate(record.prepare.classes))


def set_rows(record: RoundRecord) -> tuple[SetRow, ...]:
    """One row per evaluation set, in the record's order."""
    before = {(score.kind, score.name): score for score in record.evaluate.before}
    return tuple(
        _set_row(record, index, score, before.get((score.kind, score.name)))
        for index, score in enumerate(record.evaluate.after)
    )


def _before_of_all(record: RoundRecord) -> float | None:
    return None if record.evaluate.new_classes else record.evaluate.map50_before


def _class_row(record: RoundRecord, index: int, name: str, floors: dict[str, float]) -> ClassRow:
    is_new = name not in record.evaluate.old_classes
    after = _scores(record.evaluate.after, name)
    before = [] if is_new else _scores(record.evaluate.before, name)
    return ClassRow(
        index=index,
        name=name,
        is_new=is_new,
        map50=Change(_mean([score.map50 for score in before]), _mean([score.map50 for score in after])),
        map50_95=_mean([score.map50_95 for score in after]),
        precision=_mean([score.precision for score in after]),
        recall=_mean([score.recall for score in after]),
        instances=sum(score.instances for score in after),
        floor=floors.get(name),
    )


def _set_row(record: RoundRecord, index: int, after: SetScore, before: SetScore | None) -> SetRow:
    old, new = record.evaluate.old_classes, record.evaluate.new_classes
    old_before = before.mean(old) if before else None
    return SetRow(
        index, after.name, after.kind, after.images, Change(old_before, after.mean(old)), after.mean(new), after.mean()
    )


def _scores(sets: Sequence[SetScore], name: str) -> list[ClassScore]:
    return [score.classes[name] for score in sets if name in score.classes]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
