"""Checking deliveries and hold-outs without training: what `treering validate --data` does."""

from __future__ import annotations

from pathlib import Path

from treering_api import BadSpecError, IncrementalTrain, RoundPlan, Spec, Verification, outstanding
from treering_trainer.dataset import cross_check, enforce, unite
from treering_trainer.records import Finding, Record, SplitCount
from treering_trainer.run import Setting, default_folder, open_line, own_folder, plan_next, workbench
from treering_trainer.stages.fetch import fetch_source, holdout_sources, increment_sources
from treering_trainer.stages.verify import read_source


class Inspection(Record):
    """What was seen in all outstanding increments and the hold-outs."""

    counts: tuple[SplitCount, ...]
    findings: tuple[Finding, ...]
    settings: Verification

    def enforce(self) -> None:
        """Raise a `BadDataError` where a round would be stopped."""
        enforce(self.counts, self.findings, self.settings)


def inspect(resource: IncrementalTrain, workdir: Path | None = None) -> Inspection:
    """Pull and check everything that the line would learn from; nothing is trained or published.

    Raises:
        BadSpecError: the spec contradicts the line's history, or there is nothing to check.
        BadDataError: a delivery is empty, or class names can't be united.
    """
    line = open_line(resource)
    lineage, etag = line.read()
    waiting = outstanding(resource.spec, lineage)
    plan = plan_next(resource.model_copy(update={"spec": _awake(resource)}), lineage)
    if not isinstance(plan, RoundPlan):
        raise BadSpecError("spec.increments", f"nothing is outstanding: {plan.reason}", "Append a delivery.")
    setting = Setting(folder=workdir)
    with own_folder(workdir or default_folder(line)) as folder:
        bench = workbench(plan.model_copy(update={"increments": waiting}), line, lineage, etag, folder, setting, attempt=0)
        sources = [*increment_sources(bench, waiting), *holdout_sources(bench)]
        for source in sources:
            fetch_source(bench, source)
        checked = [read_source(bench, source) for source in sources]
    datasets = [item.dataset for item in checked]
    findings = [finding for item in checked for finding in item.findings]
    increments = [dataset for dataset in datasets if dataset.kind == "increment"]
    holdouts = [dataset for dataset in datasets if dataset.kind == "holdout"]
    findings += cross_check(increments, holdouts, None, resource.spec.verification)
    unite(plan.known_classes, *datasets)
    counts = tuple(count for item in checked for count in item.counts)
    return Inspection(counts=counts, findings=tuple(findings), settings=resource.spec.verification)


def _awake(resource: IncrementalTrain) -> Spec:
    return resource.spec.model_copy(update={"suspend": False, "rollback_to": None})
