"""Further formats: each made and measured in a process of its own, refused where it answers otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.plugins.tiny_training import IMAGE_SIZE, make_samples, seeing_model
from treering_api import EXPORT_FORMATS, BadSpecError, Parity
from treering_trainer.records import ExportedFormat
from treering_trainer.yolo.exporting import child, export
from treering_trainer.yolo.exporting.backend import Backend
from treering_trainer.yolo.exporting.export import export_formats
from treering_trainer.yolo.exporting.formats import FORMATS, Format, refuse_unmakeable
from treering_trainer.yolo.exporting.job import Found, Job, Picture, Pictures, Result, SetResult
from treering_trainer.yolo.parts import class_branches, last_convolution
from treering_trainer.yolo.weights import save_ultralytics

LOOSE = Parity(max_map50_drop=1.0, max_box_drift=1000.0)


def quiet(_: str) -> None:
    """Hears of the progress."""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    save_ultralytics(seeing_model(), tmp_path / "model.pt", image_size=IMAGE_SIZE)
    samples = make_samples(tmp_path / "pictures", 6, size=(80, 60))
    return Job(
        name="",
        checkpoint=tmp_path / "model.pt",
        folder=tmp_path / "exports",
        scratch=tmp_path / "scratch",
        image_size=IMAGE_SIZE,
        device="cpu",
        threads=1,
        calibration=tuple(sample.image for sample in samples),
        sets=(Pictures(name="val", pictures=tuple(map(Picture.of, samples))),),
    )


def test_export__made_measured_and_one_that_fails_named(job: Job) -> None:
    before = job.checkpoint.read_bytes()
    wanted = ("onnx", "tflite", "onnx-int8")  # the second one's libraries are nowhere here
    onnx, lite, int8 = export_formats(wanted, job, LOOSE, tell=quiet)
    assert (onnx.passed, onnx.reason, onnx.files) == (True, "", ("onnx/model.onnx",))
    assert (int8.passed, int8.reason, int8.files) == (True, "", ("onnx-int8/model_int8.onnx",))
    assert not lite.passed and lite.files == () and "could not be made" in lite.reason
    assert onnx.map50_drop == pytest.approx(0, abs=1e-3) and onnx.box_drift_px is not None
    assert onnx.box_drift_px < 0.1 and int8.box_drift_px and int8.size_bytes < onnx.size_bytes
    for made in (onnx, int8):
        assert made.latency_ms and made.latency_p95_ms and made.reference_ms and made.latency_p95_ms >= made.latency_ms
        assert made.size_bytes == sum((job.folder / name).stat().st_size for name in made.files)
    left = sorted(path.relative_to(job.folder).as_posix() for path in job.folder.rglob("*") if path.is_file())
    assert left == ["onnx-int8/model_int8.onnx", "onnx/model.onnx"]
    assert job.checkpoint.read_bytes() == before


def test_measure__one_that_finds_nothing_lost_it_all(job: Job) -> None:
    blind = seeing_model()
    with torch.no_grad():
        for parameter in blind.parameters():
            parameter.zero_()
        for scores in (last_convolution(level) for branch in class_branches(blind) for level in branch):
            assert scores.bias is not None
            scores.bias.fill_(-20.0)
    save_ultralytics(blind, job.checkpoint, image_size=IMAGE_SIZE)
    measured = child._measure(Backend(job.checkpoint, "cpu"), job.sets[0], job)
    assert (measured.map50, measured.map50_95) == (0.0, 0.0)  # and not unknown, which would pass
    model = result_of(measured.model_copy(update={"map50": 0.8}))
    refused = export._compare("onnx", "cpu", result_of(measured), model, Parity())
    assert (refused.passed, refused.reason) == (False, "mAP50 lost 80.0 points, at most 1.0 are allowed")


def result_of(one: SetResult) -> Result:
    return Result(files=("x",), size_bytes=1, sets=(one,), latency_ms=1, latency_p95_ms=2, reference_ms=3)


def result(map50: float, *moved_px: float) -> Result:
    found: tuple[Found, ...] = tuple((0.0, 100.0 * at + px, 50, 40, 40, 0.9) for at, px in enumerate(moved_px))
    one = SetResult(name="val", map50=map50, map50_95=map50, found=(found,))
    return Result(files=("x",), size_bytes=1, sets=(one,), latency_ms=1, latency_p95_ms=2, reference_ms=3)


@pytest.mark.parametrize(
    ("after", "passed", "reason"),
    [
        (result(0.80, 0, 0), True, ""),
        (result(0.79, 3, 3), True, ""),
        (result(0.78, 0, 0), False, "mAP50 lost 2.0 points, at most 1.0 are allowed"),
        (result(0.90, 4, 4), False, "boxes moved by 4.0 pixels, at most 3.0 are allowed"),
        (result(0.50), False, "mAP50 lost 30.0 points, at most 1.0 are allowed"),
    ],
)
def test_parity(after: Result, passed: bool, reason: str) -> None:
    found: ExportedFormat = export._compare("onnx", "cpu", after, result(0.80, 0, 0), Parity())
    assert (found.passed, found.reason) == (passed, reason)


def test_formats__all_names_and_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(FORMATS) == EXPORT_FORMATS
    refuse_unmakeable(("onnx", "torchscript"), "cpu")
    monkeypatch.setitem(FORMATS, "tensorrt", Format("engine", gpu=True))
    with pytest.raises(BadSpecError, match="it needs a GPU"):
        refuse_unmakeable(("onnx", "tensorrt"), "cpu")
