"""What went into a round: images and boxes by data set, by class, findings of verification, and the time it took.

Called by `pages`. Findings can be thousands: they are grouped by code, and each group shows its first ones and counts
the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from treering_trainer.records import Finding, RoundRecord, SplitCount

FINDINGS_PER_CODE = 50
_SEVERITIES = ("error", "quarantine", "warning", "info")


@dataclass(frozen=True)
class BoxRow:
    """Boxes of one class by where they come from; `index` is the class's place in the head."""

    index: int
    name: str
    train: int
    memory: int
    pseudo: int
    val: int
    holdout: int


@dataclass(frozen=True)
class FindingGroup:
    """All findings of one code; `shown` are the first of them."""

    severity: str
    code: str
    total: int
    shown: tuple[Finding, ...]

    @property
    def hidden(self) -> int:
        """How many are not shown."""
        return self.total - len(self.shown)


@dataclass(frozen=True)
class StageTime:
    """One stage's duration in seconds and its share (0..1) of the round."""

    name: str
    duration_s: float
    share: float


def box_rows(record: RoundRecord) -> tuple[BoxRow, ...]:
    """One row per class of the union, in head order; a memory that was not trained on (full rounds) counts nothing."""
    counts = record.verify.counts
    memory = [count for count in counts if count.kind == "memory"] if record.prepare.memory_images else []
    return tuple(
        BoxRow(
            index=index,
            name=name,
            train=_boxes(name, (count for count in counts if (count.kind, count.split) == ("increment", "train"))),
            memory=_boxes(name, memory),
            pseudo=record.prepare.pseudo_labels.get(name, 0),
            val=_boxes(name, (count for count in counts if count.kind != "holdout" and count.split == "val")),
            holdout=_boxes(name, (count for count in counts if count.kind == "holdout")),
        )
        for index, name in enumerate(record.prepare.classes)
    )


def finding_groups(record: RoundRecord, per_code: int = FINDINGS_PER_CODE) -> tuple[FindingGroup, ...]:
    """Findings by severity and code, the gravest first, at most `per_code` shown of each."""
    groups: dict[tuple[int, str], list[Finding]] = {}
    for finding in record.verify.findings:
        groups.setdefault((_SEVERITIES.index(finding.severity), finding.code), []).append(finding)
    return tuple(
        FindingGroup(_SEVERITIES[severity], code, len(found), tuple(found[:per_code]))
        for (severity, code), found in sorted(groups.items(), key=lambda item: item[0])
    )


def stage_times(record: RoundRecord) -> tuple[StageTime, ...]:
    """Every stage of the record in the order of a round."""
    stages = {
        "fetch": record.fetch.duration_s,
        "verify": record.verify.duration_s,
        "analyse": record.analyse.duration_s,
        "prepare": record.prepare.duration_s,
        "train": record.train.duration_s,
        "evaluate": record.evaluate.duration_s,
        "gate": record.gate.duration_s,
    }
    total = sum(stages.values()) or 1.0
    return tuple(StageTime(name, duration_s, duration_s / total) for name, duration_s in stages.items())


def _boxes(name: str, counts: Iterable[SplitCount]) -> int:
    return sum(count.boxes.get(name, 0) for count in counts)
