"""What a stage works with: the plan, the line, the work folder, and the records of the stages before it.

One work folder per line holds what rounds share (pulled data, bank, weights) and one folder per round, named by what
decides how the round learns. A restarted round finds the records in it and goes on at the first stage without one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from treering_api import Lineage, RoundPlan
from treering_trainer.engine.crew import ALONE, Crew
from treering_trainer.engine.stop import StopRequest
from treering_trainer.line import Line
from treering_trainer.progress import Message, Observer, StageProgress
from treering_trainer.records import (
    AnalyseRecord,
    EvaluateRecord,
    ExportRecord,
    FetchRecord,
    GateRecord,
    PrepareRecord,
    PublishRecord,
    Record,
    TrainRecord,
    VerifyRecord,
)
from treering_trainer.store import Connection, write_atomic

if TYPE_CHECKING:
    from treering_trainer.engine.meeting import Meeting

RECORDS: dict[str, type[Record]] = {
    "fetch": FetchRecord,
    "verify": VerifyRecord,
    "analyse": AnalyseRecord,
    "prepare": PrepareRecord,
    "train": TrainRecord,
    "evaluate": EvaluateRecord,
    "gate": GateRecord,
    "export": ExportRecord,
    "publish": PublishRecord,
}
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Workbench:
    """One round at work.

    Args:
        plan: what is to be done; a snapshot.
        line: where it ends up.
        lineage: the line's history when the round began; `etag` guards it until the round is published.
        attempt: number of this try.
        started: RFC 3339, of the first try in this work folder; empty for one who only looks.
        shared: the line's work folder.
        device: as torch names it.
        threads: processors that may be used.
        crew: who trains together.
        meeting: where the nodes meet; None where there is only this one.
    """

    plan: RoundPlan
    line: Line
    lineage: Lineage
    etag: str | None
    attempt: int
    started: str
    shared: Path
    connection: Connection
    device: str
    threads: int
    observer: Observer
    stop: StopRequest
    crew: Crew = ALONE
    meeting: Meeting | None = None

    @property
    def folder(self) -> Path:
        """The round's own work folder."""
        return round_work_folder(self.shared, self.plan)

    @property
    def bank(self) -> Path:
        """Remembered and validation images, named by content."""
        return self.shared / "bank"

    @property
    def learns(self) -> bool:
        """Whether the round trains weights; not where only BatchNorm's statistics adapt, which needs no label."""
        spec = self.plan.spec
        first = isinstance(self.plan.base, str)
        return first or self.plan.strategy == "full" or spec.policies.resolve().trains

    @property
    def merges(self) -> bool:
        """Whether the round makes the line's first model of several."""
        return self.plan.merges

    @property
    def known_classes(self) -> tuple[str, ...]:
        """Classes of what the round builds on: of the published model, or of all donors once they were fetched."""
        if not self.merges or not self.donors_path.exists():
            return self.plan.known_classes
        taken = (name for donor in json.loads(self.donors_path.read_bytes()) for name in donor["classes"])
        return tuple(dict.fromkeys(taken))

    @property
    def donors_path(self) -> Path:
        """Where `fetch` writes what it found the donors of a merge to be."""
        return self.folder / "donors.json"

    def data_folder(self, kind: str, name: str) -> Path:
        """Where a delivery or hold-out is pulled to."""
        return self.shared / "data" / kind / name

    def record(self, kind: type[R]) -> R:
        """The record of a stage that is done."""
        stage = next(name for name, known in RECORDS.items() if known is kind)
        record = self.find(stage)
        assert isinstance(record, kind), f"stage {stage} has not run"
        return record

    def find(self, stage: str) -> Record | None:
        """The record of a stage, None where it has not ended or another version of Treering wrote it."""
        path = self._record_path(stage)
        try:
            return RECORDS[stage].model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def keep(self, stage: str, record: Record) -> None:
        """Write a stage's record; from then on the stage is done."""
        write_atomic(self._record_path(stage), record.model_dump_json(indent=1).encode())

    def forget(self, *stages: str) -> None:
        """Drop the records of stages that are to be done anew; of all of them, if none is named."""
        for stage in stages:
            self._record_path(stage).unlink(missing_ok=True)
        if not stages:
            shutil.rmtree(self.folder / "records", ignore_errors=True)

    def progress(self, stage: str, done: int, total: int, unit: str, detail: str = "") -> None:
        """Tell how far a stage is; raises where a stop was asked for."""
        self.tell(stage, done, total, unit, detail)
        self.stop.check(stage)

    def tell(self, stage: str, done: int, total: int, unit: str, detail: str = "") -> None:
        """Tell how far a stage is, where a stop is heeded elsewhere."""
        self.observer(StageProgress(stage, done, total, unit, detail))

    def warn(self, text: str) -> None:
        """Say something that a person should read."""
        self.observer(Message("warning", text))

    def _record_path(self, stage: str) -> Path:
        return self.folder / "records" / f"{stage}.json"


def round_work_folder(shared: Path, plan: RoundPlan) -> Path:
    """The folder of a round: another one as soon as anything that decides the learning is edited."""
    base = plan.base if isinstance(plan.base, str) else plan.base.digest
    parts = [plan.learning_digest(), base, plan.strategy, [item.model_dump(mode="json") for item in plan.history]]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return shared / "rounds" / f"{plan.round:04d}-{digest[:12]}"
