"""The same scores as ultralytics' own validation of the same model on the same pictures; the worst images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ultralytics.models import YOLO

from tests.plugins.tiny_training import differing, make_samples, seeing_model, tensors_of
from treering_trainer.dataset import Sample
from treering_trainer.yolo.agreement import agreement, worst_images
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.evaluation import evaluate
from treering_trainer.yolo.weights import save_ultralytics

SIZE = 96
NAMES = ("a", "b", "c")


def labelled_by_the_model(folder: Path) -> tuple[Sample, ...]:
    """Pictures whose truth is some of what the model finds and some that it does not: neither perfect nor hopeless."""
    samples = (*make_samples(folder, 4, size=(96, 64)), *make_samples(folder, 4, size=(64, 128), seed=1))
    found = YoloDetector(seeing_model(NAMES), SIZE, "cpu").detect(samples, confidence=0.4, overlap=0.3)
    return tuple(
        replace(sample, boxes=np.concatenate([rows[:80, :5], sample.boxes[:1]]))
        for sample, rows in zip(samples, found, strict=True)
    )


def by_ultralytics(samples: tuple[Sample, ...], folder: Path) -> dict[str, float]:
    for sample in samples:
        lines = [" ".join([str(int(row[0])), *(f"{value:.9f}" for value in row[1:])]) for row in sample.boxes]
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{sample.name}.txt").write_text("\n".join(lines))
    names = "".join(f"\n  {index}: {name}" for index, name in enumerate(NAMES))
    (folder / "data.yaml").write_text(f"path: {folder}\ntrain: images\nval: images\nnames:{names}\n")
    save_ultralytics(seeing_model(NAMES), folder / "model.pt", image_size=SIZE)
    metrics = YOLO(folder / "model.pt").val(
        data=folder / "data.yaml", imgsz=SIZE, batch=32, device="cpu", plots=False, verbose=False, project=str(folder)
    )
    return {
        NAMES[index]: float(value) for index, value in zip(metrics.box.ap_class_index, metrics.box.ap50, strict=True)
    }


def test_evaluate__agrees_with_ultralytics(tmp_path: Path) -> None:
    samples = labelled_by_the_model(tmp_path / "images")
    expected = by_ultralytics(samples, tmp_path)
    detector = YoloDetector(seeing_model(NAMES), SIZE, "cpu")
    before = tensors_of(detector.model)
    score, speed_ms = evaluate(detector, samples, name="golden", kind="holdout", folder=tmp_path / "work", worst=3)
    assert {name: found.map50 for name, found in score.classes.items()} == pytest.approx(expected, abs=1e-6)
    assert 0.01 < np.mean(list(expected.values())) < 0.99, "there is something to compare"
    assert sum(found.instances for found in score.classes.values()) == sum(len(sample.boxes) for sample in samples)
    assert (score.images, speed_ms > 0) == (8, True)
    assert differing(before, tensors_of(detector.model)) == [], "the model is as it was"
    assert [item.f1 for item in score.worst] == sorted(item.f1 for item in score.worst) and len(score.worst) == 3


BOX = (0.0, 0.5, 0.5, 0.2, 0.2)
ELSEWHERE = (0.0, 0.1, 0.1, 0.1, 0.1)


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([], [], (1.0, 1.0, 1.0)),
        ([BOX], [], (0.0, 0.0, 0.0)),
        ([], [BOX], (0.0, 0.0, 0.0)),
        ([BOX], [BOX, BOX], (0.5, 1.0, 2 / 3)),
        ([BOX, ELSEWHERE], [BOX], (1.0, 0.5, 2 / 3)),
        ([BOX], [(1.0, *BOX[1:])], (0.0, 0.0, 0.0)),
    ],
    ids=["nothing", "missed", "invented", "found-twice", "half", "other-class"],
)
def test_agreement__cases(
    truth: list[tuple[float, ...]], found: list[tuple[float, ...]], expected: tuple[float, float, float]
) -> None:
    rows = np.asarray([(*box, 0.9) for box in found]).reshape(-1, 6)
    assert agreement(np.asarray(truth).reshape(-1, 5), rows) == pytest.approx(expected)


def test_worst_images__two_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    left, right = (make_samples(tmp_path / folder, 1)[0] for folder in ("left", "right"))
    perfect = np.column_stack([left.boxes, np.full(len(left.boxes), 0.9)])
    worst = worst_images(NAMES, [left, right], [perfect, np.zeros((0, 6))], 2)
    assert [item.path for item in worst] == [str(right.image), str(left.image)]
    assert [item.f1 for item in worst] == [0.0, 1.0]
    name, *corners = worst[0].truth[0]
    kind, x, y, width, height = right.boxes[0]
    assert name == NAMES[int(kind)]
    assert corners == pytest.approx(
        [(x - width / 2) * 64, (y - height / 2) * 64, (x + width / 2) * 64, (y + height / 2) * 64]
    )
