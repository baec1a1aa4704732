"""Checking deliveries and hold-outs without training: what `treering validate --data` does.

Called by `api`. It pulls into the line's work folder, so that the run after it does not pull again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treering_api import IncrementalTrain, RoundPlan, TreeringError, Verification, outstanding
from treering_trainer.dataset import enforce
from treering_trainer.line import open_line
from treering_trainer.progress import Observer, Observers, StageFinished, StageStarted
from treering_trainer.records import Finding, SplitCount
from treering_trainer.run import Setting, own_line_folder, workbench
from treering_trainer.stages.donors import fetch_donors
from treering_trainer.stages.fetch import fetch_memory, fetch_source, holdout_sources, increment_sources
from treering_trainer.stages.verify import Examined, examine, not_measured, refuse_unmeasurable
from treering_trainer.stages.workbench import Workbench

_STAGES = ("fetch", "verify")


@dataclass(frozen=True)
class Inspection:
    """What was seen in all outstanding increments and the hold-outs.

    Args:
        refusal: why the next round would not begin to train, besides what the findings say.
    """

    counts: tuple[SplitCount, ...]
    findings: tuple[Finding, ...]
    settings: Verification
    refusal: TreeringError | None = None

    def enforce(self) -> None:
        """Raise the error with which the next round would be stopped, if it would be."""
        enforce(self.counts, self.findings, self.settings)
        if self.refusal is not None:
            raise self.refusal


def inspect(
    resource: IncrementalTrain,
    workdir: Path | None = None,
    certificate_authority: Path | None = None,
    observer: Observer | None = None,
) -> Inspection:
    """Pull and check everything that the line would learn from; nothing is trained or published.

    Raises:
        BadSpecError: the spec contradicts the line's history.
        BadDataError: a delivery is empty, or class names can't be united.
    """
    line = open_line(resource, certificate_authority)
    lineage, etag = line.read()
    spec, current = resource.spec, lineage.current
    plan = RoundPlan(
        line=line.name,
        round=lineage.round + 1,
        increments=outstanding(spec, lineage),
        history=(),
        base=current or spec.model.base,
        known_classes=current.classes if current else (),
        strategy=spec.strategy,
        reason="looking",
        spec=spec,
    )
    setting = Setting(workdir, certificate_authority, Observers(*([observer] if observer else [])))
    with own_line_folder(line, workdir) as folder:
        bench = workbench(plan, line, lineage, etag, folder, setting, attempt=0)
        with _stage(bench, "fetch") as told:
            sources = (*increment_sources(bench, plan.increments), *holdout_sources(bench))
            for source in sources:
                fetch_source(bench, source)
            if current is not None:
                fetch_memory(bench)
            elif bench.merges:
                fetch_donors(bench)
            told.append(f"{len(sources)} data sets")
        with _stage(bench, "verify") as told:
            seen = examine(bench, plan.increments)
            refusal, blind = _measurable(bench, seen)
            told.append(f"{sum(count.images for count in seen.counts):,} images")
    return Inspection(seen.counts, (*seen.findings, *blind), spec.verification, refusal)


def _measurable(bench: Workbench, seen: Examined) -> tuple[TreeringError | None, tuple[Finding, ...]]:
    """What the next round would say to having too little to compare models on."""
    first = {increment.name for increment in bench.plan.increments[:1]}  # a round learns one
    if not first:
        return None, ()
    datasets = [item for item in seen.datasets if item.kind != "increment" or item.name in first]
    try:
        refuse_unmeasurable(bench, datasets)
        return None, not_measured(bench, datasets)
    except TreeringError as error:
        return error, ()


@contextmanager
def _stage(bench: Workbench, name: str) -> Iterator[list[str]]:
    """Tell of a stage as a round does; what is put into the list is its outcome in words."""
    start_s, outcome = time.monotonic(), list[str]()
    bench.observer(StageStarted(name, _STAGES.index(name) + 1, len(_STAGES)))
    yield outcome
    bench.observer(StageFinished(name, time.monotonic() - start_s, ", ".join(outcome)))
