"""Makes and measures one format: `python -m treering_trainer.yolo.exporting.child JOB.json RESULT.json`.

In a process of its own, because exporters crash, run out of memory and change global state; nothing is installed and
nothing is fetched here, whatever ultralytics would like to have.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}

import numpy as np
import torch
from ultralytics.models import YOLO

from treering_trainer.dataset import Boxes, Sample
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.equality import random_images, times_in_turns_ms
from treering_trainer.yolo.evaluation import SHOWN_CONFIDENCE, evaluate
from treering_trainer.yolo.exporting.backend import Backend
from treering_trainer.yolo.exporting.formats import FORMATS, Format
from treering_trainer.yolo.exporting.job import ITSELF, Found, Job, Pictures, Result, SetResult
from treering_trainer.yolo.threads import keep_threads

RUNS = 31
OVERLAP = 0.7


def main(job_path: Path, result_path: Path) -> None:
    """Do one job."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # else openvino and nncf tell Intel of each export
    job = Job.model_validate_json(job_path.read_bytes())
    torch.set_num_threads(job.threads)
    keep_threads()
    artefact = job.checkpoint if job.name == ITSELF else make(job, FORMATS[job.name])
    model = Backend(artefact, job.device)
    reference = Backend(job.checkpoint, job.device)
    times, before = _latencies_ms(model, reference, job.image_size)
    files = _files(artefact) if job.name != ITSELF else ()
    result = Result(
        files=tuple(path.relative_to(job.folder).as_posix() for path in files),
        size_bytes=sum(path.stat().st_size for path in files or (artefact,)),
        sets=tuple(_measure(model, each, job) for each in job.sets),
        latency_ms=statistics.median(times),
        latency_p95_ms=float(np.percentile(times, 95)),
        reference_ms=statistics.median(before),
    )
    result_path.write_text(result.model_dump_json())


def make(job: Job, kind: Format) -> Path:
    """Make the format; gives its file, or its folder."""
    checkpoint = job.folder / "model.pt"  # exporters write beside what they are given
    shutil.copyfile(job.checkpoint, checkpoint)
    calibration = {"data": str(_calibration(job)), "split": "val"} if kind.calibrated else {}
    path = YOLO(checkpoint).export(
        format=kind.maker,
        imgsz=job.image_size,
        quantize=kind.quantize,
        device=job.device.removeprefix("cuda:"),
        batch=1,
        workers=0,
        verbose=False,
        **calibration,
    )
    checkpoint.unlink()
    return Path(path)


def _calibration(job: Job) -> Path:
    """A data set for ultralytics of pictures without labels."""
    folder = job.scratch / f"{job.name}-calibration"
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(job.calibration):
        link = images / f"{number:05d}{path.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    data = folder / "data.yaml"
    names = dict(enumerate(YOLO(job.checkpoint).names.values()))
    data.write_text(f"path: {folder}\ntrain: images\nval: images\nnames: {names!r}\n")
    return data


def _files(artefact: Path) -> tuple[Path, ...]:
    if artefact.is_file():
        return (artefact,)
    return tuple(sorted(path for path in artefact.rglob("*") if path.is_file()))


def _latencies_ms(model: Backend, reference: Backend, image_size: int) -> list[list[float]]:
    picture = next(random_images(image_size)).to(model.device)

    def run(network: Backend) -> None:
        network(picture)
        if model.device.type == "cuda":
            torch.cuda.synchronize()

    return times_in_turns_ms([partial(run, model), partial(run, reference)], RUNS, warming=3)


def _measure(model: Backend, pictures: Pictures, job: Job) -> SetResult:
    samples = [picture.sample() for picture in pictures.pictures]
    detector = YoloDetector(model.as_model(), job.image_size, job.device, batch=8, square=True)
    rows = detector.detect(samples, confidence=SHOWN_CONFIDENCE, overlap=OVERLAP)
    score = None
    if any(len(sample.boxes) for sample in samples):
        folder = job.scratch / f"{job.name}-measured" / pictures.name
        score, _ = evaluate(detector, samples, name=pictures.name, kind="holdout", folder=folder)
    classes = list(score.classes.values()) if score is not None else []
    return SetResult(
        name=pictures.name,
        map50=_mean([one.map50 for one in classes], score is not None),
        map50_95=_mean([one.map50_95 for one in classes], score is not None),
        found=tuple(_in_input_pixels(one, sample, job.image_size) for one, sample in zip(rows, samples, strict=True)),
    )


def _mean(values: Sequence[float], labelled: bool) -> float | None:
    """0 where objects are labelled and nothing at all was found, for which the validator names no class."""
    if not labelled:
        return None
    return sum(values) / len(values) if values else 0.0


def _in_input_pixels(rows: Boxes, sample: Sample, image_size: int) -> tuple[Found, ...]:
    """Boxes in pixels of the network's input, whatever size the picture has."""
    gain = image_size / max(sample.width, sample.height)
    scale = np.array([1, sample.width * gain, sample.height * gain, sample.width * gain, sample.height * gain, 1])
    return tuple(cast("Found", tuple(float(value) for value in row)) for row in rows * scale)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
