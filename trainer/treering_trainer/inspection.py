"""Checking deliveries and hold-outs without training: what `treering validate --data` does.

Called by `api`. It pulls into the line's work folder, so that the run after it does not pull again.
"""

from __future__ import annotations

from pathlib import Path

from treering_api import IncrementalTrain, RoundPlan, Verification, outstanding
from treering_trainer.dataset import enforce
from treering_trainer.line import open_line
from treering_trainer.progress import Observer, Observers
from treering_trainer.records import Finding, Record, SplitCount
from treering_trainer.run import Setting, own_line_folder, workbench
from treering_trainer.stages.fetch import fetch_memory, fetch_source, holdout_sources, increment_sources
from treering_trainer.stages.verify import examine


class Inspection(Record):
    """What was seen in all outstanding increments and the hold-outs."""

    counts: tuple[SplitCount, ...]
    findings: tuple[Finding, ...]
    settings: Verification

    def enforce(self) -> None:
        """Raise a `BadDataError` where a round would be stopped."""
        enforce(self.counts, self.findings, self.settings)


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
    setting = Setting(workdir, certificate_authority, observer=observer or Observers())
    with own_line_folder(line, workdir) as folder:
        bench = workbench(plan, line, lineage, etag, folder, setting, attempt=0)
        for source in (*increment_sources(bench, plan.increments), *holdout_sources(bench)):
            fetch_source(bench, source)
        if current is not None:
            fetch_memory(bench)
        seen = examine(bench, plan.increments)
    return Inspection(counts=seen.counts, findings=seen.findings, settings=spec.verification)
