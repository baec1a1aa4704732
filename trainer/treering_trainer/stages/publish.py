"""publish: the files first, the manifest after them, and one conditional put that makes the round count.

Up to that put the line is what it was; whoever dies before it leaves files that nothing names. A second process that
published in the meantime makes the put fail: a dead attempt can't overwrite a living one. Each attempt publishes to a
folder of its own.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from pydantic import ValidationError

from treering_api import (
    WARNING_LENGTH,
    WARNINGS,
    CaseCounts,
    Lineage,
    MeasuredDelivery,
    ModelRef,
    RoundSummary,
    StoreError,
    advance,
)
from treering_trainer.line import MANIFEST, REPORT, Line, folder_name, now
from treering_trainer.records import (
    AnalyseRecord,
    EvaluateRecord,
    ExportRecord,
    FileEntry,
    GateRecord,
    PrepareRecord,
    PublishRecord,
    RoundRecord,
    TrainRecord,
    VerifyRecord,
)
from treering_trainer.report import render_line
from treering_trainer.stages.cases import counted_cases
from treering_trainer.stages.export import RECORD, describe_round, export_folder
from treering_trainer.stages.export_formats import kept_formats, outcomes
from treering_trainer.stages.fetch import MEMORY, VAL, read_memory
from treering_trainer.stages.shelf import load_datasets
from treering_trainer.stages.verify import verified_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import (
    ConflictError,
    Manifest,
    NotFoundError,
    Transferred,
    check_file,
    push,
    write_manifest,
)

PAGES = 20
"""Rounds whose records the line's page is made of."""


def publish(bench: Workbench) -> PublishRecord:
    """Bring the round into the line.

    Raises:
        StoreError: somebody else changed the line since the round began; nothing of theirs is touched.
    """
    start_s = time.monotonic()
    passed = bench.record(GateRecord).passed
    folder, files = export_folder(bench), _files(bench)
    sent = _push_bank(bench) if passed else 0
    target = bench.line.round_folder(bench.plan.round, bench.attempt)
    counter = itertools.count(1)

    def tell(_: Transferred) -> None:
        bench.progress("publish", next(counter), len(files), "files")

    sent += push(target, {name: folder / name for name in files}, on_object=tell).size_bytes
    manifest = Manifest(files=files, extra={"round": bench.plan.round, "published": passed})
    digest = write_manifest(target, MANIFEST, manifest)
    _advance(bench, summarise(bench, digest))
    return PublishRecord(
        published=passed,
        uri=target.uri,
        manifest_sha256=digest,
        size_bytes=sent,
        duration_s=time.monotonic() - start_s,
    )


def summarise(bench: Workbench, digest: str) -> RoundSummary:
    """The round as the lineage keeps it."""
    analysis, scores, verdict = bench.record(AnalyseRecord), bench.record(EvaluateRecord), bench.record(GateRecord)
    uri = f"{bench.line.store.uri}/{folder_name(bench.plan.round, bench.attempt)}"
    model = ModelRef(
        round=bench.plan.round,
        attempt=bench.attempt,
        uri=uri,
        digest=digest,
        classes=bench.record(PrepareRecord).classes,
        map50=scores.map50,
    )
    counted = counted_cases(bench)
    return RoundSummary(
        round=bench.plan.round,
        attempt=bench.attempt,
        parent=bench.plan.parent,
        increments=tuple(increment.name for increment in bench.plan.increments),
        strategy=analysis.strategy,
        reason=analysis.reason,
        verdict="published" if verdict.passed else "rejected",
        sentence=_sentence(bench, verdict)[:1024],
        map50=scores.map50,
        map50_before=scores.map50_before,
        forgetting=scores.forgetting,
        gain=scores.gain,
        measured=measured(analysis),
        exports=outcomes(bench),
        cases=CaseCounts.model_validate(counted) if counted else None,
        images=analysis.new_images,
        gpu_seconds=bench.record(TrainRecord).gpu_seconds,
        started=bench.started,
        finished=now(),
        uri=uri,
        model=model if verdict.passed else None,
    )


def _sentence(bench: Workbench, verdict: GateRecord) -> str:
    """The gate's verdict, and which formats are left out of what is published."""
    refused = [f"{made.name} is left out: {made.reason}" for made in kept_formats(bench) if not made.passed]
    return " ".join((verdict.sentence, *(f"Export {text}." for text in refused)))


def measured(analysis: AnalyseRecord) -> MeasuredDelivery:
    """The few numbers of an analysis that a status has room for."""
    found, decision = analysis.analysis, analysis.decision
    drift = found.drift if found else None
    warnings = found.warnings if found else ()
    return MeasuredDelivery(
        drift=round(drift.auc, 4) if drift else None,
        drift_p=round(drift.p_value, 4) if drift else None,
        drifted_class=found.drifted_class[:100] if found else "",
        warnings=tuple(text[:WARNING_LENGTH] for text in warnings[:WARNINGS]),
        warning_count=len(warnings),
        would_change=tuple(text[:WARNING_LENGTH] for text in (decision.would_change[:3] if decision else ())),
    )


def publish_page(line: Line, lineage: Lineage) -> None:
    """Make the line's page anew; it only shows what the lineage says, so it needs no condition."""
    records = []
    for summary in lineage.rounds[-PAGES:]:
        try:
            data = line.round_folder(summary.round, summary.attempt).get(RECORD)
            records.append(RoundRecord.model_validate_json(data))
        except (NotFoundError, ValidationError):
            continue  # removed by a person or written by another version: the page shows what the lineage says
    line.store.put(REPORT, render_line(line.name, lineage.rounds, records).encode())


def _files(bench: Workbench) -> dict[str, FileEntry]:
    """What will be published, checked; an earlier attempt's record and page are written anew in this one's name."""
    folder, files = export_folder(bench), dict(bench.record(ExportRecord).files)
    if _described_attempt(folder / RECORD) != bench.attempt:
        files |= describe_round(bench)
    for name, entry in files.items():
        check_file(folder / name, entry)
    return files


def _described_attempt(path: Path) -> int | None:
    """The attempt that a record names; None where it is damaged or gone."""
    try:
        return RoundRecord.model_validate_json(path.read_bytes()).attempt
    except (FileNotFoundError, ValidationError):
        return None


def _advance(bench: Workbench, summary: RoundSummary) -> None:
    images = {
        count.dataset: count.images
        for count in bench.record(VerifyRecord).counts
        if count.kind == "increment" and count.split == "train"
    }
    after = advance(bench.lineage, bench.plan, summary, images)
    try:
        bench.line.write(after, bench.etag)
    except ConflictError as error:
        present, _ = bench.line.read()
        if present == after:
            return  # our own put, whose answer was lost
        raise StoreError(
            bench.line.store.uri,
            f"another process published round {present.round} while this one was at work",
            "Run again: what is still to be learned is learned on top of it",
        ) from error


def _push_bank(bench: Workbench) -> int:
    """Bring images that the new memory or val bank names into the bank; those that are there stay."""
    folder = export_folder(bench)
    local = {
        sample.sha256: sample.image
        for dataset in load_datasets(verified_path(bench.folder))
        for _, sample in dataset.samples()
    }
    items = (*read_memory(folder / MEMORY).items, *read_memory(folder / VAL).items)
    bank = bench.line.bank()
    present = {info.key for info in bank.list()}
    missing = {item.key: local.get(item.sha256, bench.bank / item.key) for item in items if item.key not in present}
    return push(bank, missing).size_bytes
