"""Further formats of the candidate: made from its checkpoint, held to parity on the sets that judged it.

Each is made and measured in a process of its own (`yolo.exporting`); one that fails is left out, and the round goes on.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import TypeAdapter

from treering_api import MOST_OUTCOMES, ExportOutcome
from treering_trainer.policies.interface import draw
from treering_trainer.progress import Measured, Message
from treering_trainer.records import ExportedFormat
from treering_trainer.stages.evaluate import evaluation_sets
from treering_trainer.stages.prepare import training_path
from treering_trainer.stages.shelf import load_training
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import write_atomic
from treering_trainer.yolo.exporting.export import export_formats
from treering_trainer.yolo.exporting.job import Job, Picture, Pictures

FOLDER = "exports"
REASON_LENGTH = 200
_MADE = TypeAdapter(tuple[ExportedFormat, ...])


def make_formats(bench: Workbench, names: tuple[str, ...], folder: Path) -> tuple[ExportedFormat, ...]:
    """Make every format of the spec below `folder`, from the checkpoint there, and keep what became of each."""
    settings, work = bench.plan.spec.export, bench.folder / "exporting"
    shutil.rmtree(work, ignore_errors=True)
    job = Job(
        name="",
        checkpoint=(folder / "model.pt").absolute(),
        folder=(folder / FOLDER).absolute(),
        scratch=work.absolute(),
        image_size=bench.plan.spec.model.image_size,
        device=bench.device,
        threads=bench.threads,
        calibration=_calibration(bench),
        sets=tuple(
            Pictures(name=f"{item.kind}-{item.name}", pictures=tuple(map(Picture.of, item.samples)))
            for item in evaluation_sets(bench, names)
        ),
    )

    def tell(text: str) -> None:
        bench.progress("export", 0, 0, "files", text)

    made = export_formats(settings.formats, job, settings.parity, tell=tell)
    shutil.rmtree(work, ignore_errors=True)
    for each in made:
        if not each.passed:
            bench.observer(Message("warning", f"spec.export: {each.name} is left out: {each.reason}"))
    if made:
        refused = sum(not each.passed for each in made)
        bench.observer(Measured("treering_round_refused_exports", float(refused)))
    write_atomic(_kept(bench), _MADE.dump_json(made))
    return made


def kept_formats(bench: Workbench) -> tuple[ExportedFormat, ...]:
    """What `make_formats` kept; empty before, and for a rejected candidate."""
    path = _kept(bench)
    return _MADE.validate_json(path.read_bytes()) if path.exists() else ()


def outcomes(bench: Workbench) -> tuple[ExportOutcome, ...]:
    """The few numbers of each format that a status has room for."""
    return tuple(
        ExportOutcome(
            name=made.name,
            passed=made.passed,
            size_bytes=made.size_bytes,
            map50=_rounded(made.map50),
            drop=_rounded(made.map50_drop),
            drift_px=_rounded(made.box_drift_px),
            latency_ms=_rounded(made.latency_ms),
            reason=made.reason[:REASON_LENGTH],
        )
        for made in kept_formats(bench)[:MOST_OUTCOMES]
    )


def forget_formats(bench: Workbench) -> None:
    """Before they are made anew."""
    _kept(bench).unlink(missing_ok=True)


def _calibration(bench: Workbench) -> tuple[Path, ...]:
    """Pictures that were trained on, new and remembered ones: nothing that the formats are measured on."""
    data, settings = load_training(training_path(bench)), bench.plan.spec
    drawn = draw((*data.new, *data.memory), settings.export.calibration_images, settings.training.seed)
    return tuple(sample.image.absolute() for sample in drawn)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _kept(bench: Workbench) -> Path:
    return bench.folder / "export-formats.json"
