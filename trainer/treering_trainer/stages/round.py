"""One round: the nine stages in order, each skipped if its record is there already.

Called by `run`. Killed at any moment, the line's model is what it was, and the next try goes on at the first unfinished
stage, inside `train` at the last full epoch. Only `fetch` is asked again each time, in case a delivery was mended.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from treering_api import STAGES, ResumableError, RoundSummary, TreeringError
from treering_trainer.progress import (
    Event,
    Measured,
    Message,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageStarted,
    StrategyChosen,
)
from treering_trainer.records import AnalyseRecord, ExportRecord, GateRecord, Record, TrainRecord, VerifyRecord
from treering_trainer.stages.analyse import analyse
from treering_trainer.stages.evaluate import evaluate
from treering_trainer.stages.export import export
from treering_trainer.stages.fetch import fetch
from treering_trainer.stages.gate import gate
from treering_trainer.stages.outcome import outcome
from treering_trainer.stages.prepare import prepare
from treering_trainer.stages.publish import publish, publish_page
from treering_trainer.stages.train import train
from treering_trainer.stages.verify import verify
from treering_trainer.stages.workbench import Workbench

NO_SPACE_BYTES = 1024 * 1024
"""So little is left that whatever a library complains of, it is this."""
STAGE_FUNCTIONS: dict[str, Callable[[Workbench], Record]] = {
    "fetch": fetch,
    "verify": verify,
    "analyse": analyse,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "gate": gate,
    "export": export,
    "publish": publish,
}


def run_round(bench: Workbench) -> RoundSummary:
    """Run a round to its verdict.

    Raises:
        TreeringError: what stopped it, with what to do about it; what was done is kept.
    """
    plan = bench.plan
    names = tuple(increment.name for increment in plan.increments)
    bench.observer(RoundStarted(plan.line, plan.round, bench.attempt, names, plan.reason))
    for index, stage in enumerate(STAGES, start=1):
        _run_stage(bench, stage, index)
    lineage, _ = bench.line.read()
    summary = next(item for item in lineage.rounds if item.round == plan.round)
    publish_page(bench.line, lineage)
    bench.observer(RoundFinished(summary.model_dump(mode="json")))
    shutil.rmtree(bench.folder, ignore_errors=True)
    return summary


def _run_stage(bench: Workbench, stage: str, index: int) -> None:
    bench.stop.check(stage)
    bench.observer(StageStarted(stage, index, len(STAGES)))
    start_s = time.monotonic()
    with _disk_failures_named(bench):
        record = _find(bench, stage)
        if record is None:
            record = STAGE_FUNCTIONS[stage](bench)
            bench.keep(stage, record)
    for event in _news(record):
        bench.observer(event)
    bench.observer(StageFinished(stage, time.monotonic() - start_s, outcome(record)))


def _find(bench: Workbench, stage: str) -> Record | None:
    """The record that makes a stage superfluous."""
    record = None if stage == "fetch" else bench.find(stage)
    if isinstance(record, ExportRecord) and bench.record(GateRecord).passed:
        asked = set(bench.plan.spec.export.formats)
        return record if {made.name for made in record.formats} == asked else None  # edited since
    return record


@contextmanager
def _disk_failures_named(bench: Workbench) -> Iterator[None]:
    """Libraries tell of a full disk in many ways, and none of them says what to do."""
    try:
        yield
    except TreeringError:
        raise
    except Exception as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if not full and shutil.disk_usage(bench.shared).free > NO_SPACE_BYTES:
            raise
        raise ResumableError(
            str(getattr(error, "filename", None) or bench.folder),
            "disk full",
            "Free some space or give another folder with --workdir, then run again.",
        ) from error


def _news(record: Record) -> list[Event]:
    """What a record says that no other event does."""
    if isinstance(record, AnalyseRecord):
        return [StrategyChosen(record.strategy, record.reason), *_measured(record)]
    if isinstance(record, VerifyRecord):
        severities = [finding.severity for finding in record.findings]
        return [
            Measured("treering_round_findings", float(severities.count(name)), {"severity": name})
            for name in ("error", "quarantine", "warning", "info")
        ]
    if isinstance(record, TrainRecord):
        return [Measured("treering_round_gpu_seconds_total", record.gpu_seconds)]
    return []


def _measured(record: AnalyseRecord) -> list[Event]:
    found = record.analysis
    if found is None:
        return []
    events: list[Event] = [Measured("treering_round_warnings", float(len(found.warnings)))]
    if found.drift is not None:
        events.append(Measured("treering_round_drift_ratio", found.drift.auc))
    return [*events, *(Message("warning", text) for text in found.warnings)]
