"""All formats of a model, one process after the other, and what became of each beside the model itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from treering_api import Parity
from treering_trainer.dataset import Boxes, matches
from treering_trainer.records import ExportedFormat
from treering_trainer.yolo.exporting.formats import FORMATS
from treering_trainer.yolo.exporting.job import ITSELF, Job, Result, SetResult

LIMIT_S = 3600.0
"""Of one format; INT8 engines take tens of minutes."""
ROUNDING = 1e-9
Tell = Callable[[str], None]


class ExportFailedError(RuntimeError):
    """A process ended badly; says how."""


def export_formats(names: Sequence[str], job: Job, parity: Parity, *, tell: Tell) -> tuple[ExportedFormat, ...]:
    """Make each format in `job.folder/<name>`; the folder of one that failed or answers too differently is removed.

    Args:
        names: of `spec.export.formats`.
        job: of any name; `folder` is the folder of all formats.

    Raises:
        ExportFailedError: the model itself could not be measured.
    """
    if not names:
        return ()
    tell("export: the model itself")
    reference = _run(job.model_copy(update={"name": ITSELF}))
    return tuple(_export(name, job, parity, reference, tell) for name in names)


def _export(name: str, job: Job, parity: Parity, reference: Result, tell: Tell) -> ExportedFormat:
    tell(f"export: {name}")
    kind, folder = FORMATS[name], job.folder / name
    device = job.device if kind.gpu else "cpu"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    used = job.calibration if kind.calibrated else ()
    try:
        mine = {"name": name, "folder": folder, "device": device, "calibration": used}
        result = _run(job.model_copy(update=mine))
    except ExportFailedError as error:
        shutil.rmtree(folder)
        return ExportedFormat(name=name, device=device, passed=False, reason=str(error))
    compared = _compare(name, device, result, reference, parity)
    if not compared.passed:
        shutil.rmtree(folder)
        return compared.model_copy(update={"files": ()})
    _leave_only(folder, result.files)
    return compared


def _run(job: Job) -> Result:
    told, left = job.scratch / f"{job.name}.job.json", job.scratch / f"{job.name}.result.json"
    job.scratch.mkdir(parents=True, exist_ok=True)
    left.unlink(missing_ok=True)
    told.write_text(job.model_dump_json())
    job.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "treering_trainer.yolo.exporting.child", str(told), str(left)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}  # it has no need of them
    environment = {**kept, "OMP_NUM_THREADS": str(job.threads)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False)
    except subprocess.TimeoutExpired as error:
        raise ExportFailedError(f"it was not made within {LIMIT_S:.0f} s") from error
    if done.returncode != 0 or not left.exists():
        raise ExportFailedError(_why(done))
    return Result.model_validate_json(left.read_bytes())


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"its process was ended by signal {-done.returncode}, for want of memory most likely"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return f"it could not be made: {lines[-1][:300] if lines else f'exit code {done.returncode}'}"


def _compare(name: str, device: str, result: Result, reference: Result, parity: Parity) -> ExportedFormat:
    drops = [
        before.map50 - after.map50
        for before, after in zip(reference.sets, result.sets, strict=True)
        if before.map50 is not None and after.map50 is not None
    ]
    drift = _drift_px(reference.sets, result.sets)
    drop = max(drops, default=0.0)
    reasons = []
    if drop > parity.max_map50_drop + ROUNDING:
        limit = 100 * parity.max_map50_drop
        reasons.append(f"mAP50 lost {100 * drop:.1f} points, at most {limit:.1f} are allowed")
    if drift is not None and drift > parity.max_box_drift + ROUNDING:
        reasons.append(f"boxes moved by {drift:.1f} pixels, at most {parity.max_box_drift:.1f} are allowed")
    return ExportedFormat(
        name=name,
        files=tuple(f"{name}/{file}" for file in result.files),
        size_bytes=result.size_bytes,
        device=device,
        map50=_mean([one.map50 for one in result.sets]),
        map50_95=_mean([one.map50_95 for one in result.sets]),
        map50_drop=drop,
        box_drift_px=drift,
        latency_ms=result.latency_ms,
        latency_p95_ms=result.latency_p95_ms,
        reference_ms=result.reference_ms,
        passed=not reasons,
        reason="; ".join(reasons),
    )


def _drift_px(before: Sequence[SetResult], after: Sequence[SetResult]) -> float | None:
    """How far 95 of 100 boxes that both see moved at most: the largest of a box's four numbers, pixels of the input."""
    moved: list[float] = []
    for one, other in zip(before, after, strict=True):
        for rows, others in zip(one.found, other.found, strict=True):
            moved += _moves(_boxes(rows), _boxes(others))
    return float(np.percentile(moved, 95)) if moved else None


def _moves(rows: Boxes, others: Boxes) -> list[float]:
    pairs = ((row, match) for row, match in enumerate(matches(others, rows)) if match >= 0)
    return [float(np.abs(others[row, 1:5] - rows[match, 1:5]).max()) for row, match in pairs]


def _boxes(rows: Sequence[tuple[float, ...]]) -> Boxes:
    return np.asarray(rows, dtype=np.float64).reshape(-1, 6)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _leave_only(folder: Path, files: Sequence[str]) -> None:
    """Exporters leave what they made it of beside it."""
    wanted = {folder / name for name in files}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path not in wanted:
            path.unlink()
