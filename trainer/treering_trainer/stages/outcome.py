"""Each stage's record in one short phrase, for bars and log lines."""

from __future__ import annotations

from functools import singledispatch

from treering_trainer.records import (
    NOT_MEASURED,
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


@singledispatch
def outcome(record: Record) -> str:
    """What came of a stage."""
    raise AssertionError(f"no phrase for {type(record).__name__}")


@outcome.register
def _(record: FetchRecord) -> str:
    return (
        f"{record.objects} objects, {record.from_cache} of them here already, {record.size_bytes / 1e6:.1f} MB pulled"
    )


@outcome.register
def _(record: VerifyRecord) -> str:
    images = sum(count.images for count in record.counts if count.kind != "memory")
    warnings = sum(finding.severity == "warning" for finding in record.findings)
    blind = "".join(f"; {finding.found}" for finding in record.findings if finding.code == NOT_MEASURED)
    return f"{images} images, {record.quarantined} quarantined, {warnings} warnings{blind}"


@outcome.register
def _(record: AnalyseRecord) -> str:
    return f"{record.strategy}: {record.reason}"


@outcome.register
def _(record: PrepareRecord) -> str:
    guessed = sum(record.pseudo_labels.values())
    return f"{record.new_images} new images, {record.memory_images} from memory, {guessed} pseudo-labels"


@outcome.register
def _(record: TrainRecord) -> str:
    if not record.epochs:
        return f"no weights trained, {record.forward_passes} images seen on {record.device}"
    early = " (stopped early)" if record.stopped_early else ""
    return f"{len(record.epochs)} epochs{early}, {record.image_passes} image passes on {record.device}"


@outcome.register
def _(record: EvaluateRecord) -> str:
    parts = [f"mAP50 {record.map50:.3f}"]
    if record.forgetting is not None:
        parts.append(f"forgetting {100 * record.forgetting:+.1f} points")
    if record.gain is not None and record.old_classes:
        parts.append(f"new classes {record.gain:.3f}")
    return ", ".join(parts)


@outcome.register
def _(record: GateRecord) -> str:
    return record.sentence


@outcome.register
def _(record: ExportRecord) -> str:
    size = sum(entry.size_bytes for entry in record.files.values())
    refused = "".join(f"; {made.name} is left out: {made.reason}" for made in record.formats if not made.passed)
    return f"{len(record.files)} files, {size / 1e6:.1f} MB, {record.memory_images} images remembered{refused}"


@outcome.register
def _(record: PublishRecord) -> str:
    return f"{'published' if record.published else 'report only'}: {record.uri}"
