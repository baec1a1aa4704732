"""Detections in shares of the original picture, as ultralytics itself finds them; embeddings; both views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from ultralytics.models import YOLO

from tests.plugins.tiny_training import make_samples, seeing_model
from treering_trainer.dataset import Sample
from treering_trainer.policies.freeze import backbone_length
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.views import fuse_views, unmirror
from treering_trainer.yolo.weights import save_ultralytics

SIZE = 96
GREY = 114
"""What ultralytics fills margins with."""


def by_ultralytics(sample: Sample, folder: Path, *, mirror: bool = False) -> np.ndarray:
    """What `YOLO.predict` finds on the picture as our loader shows it: resized, with grey margins of half a stride."""
    image = cv2.imread(str(sample.image))
    assert image is not None
    scale = SIZE / max(image.shape[:2])
    small = cv2.resize(
        image, (round(sample.width * scale), round(sample.height * scale)), interpolation=cv2.INTER_LINEAR
    )
    top, left = ((int(np.ceil(side / 32 + 0.5)) * 32 - side) // 2 for side in small.shape[:2])
    padded = cv2.copyMakeBorder(small, top, top, left, left, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
    if mirror:
        padded = np.ascontiguousarray(padded[:, ::-1])
    save_ultralytics(seeing_model(), folder / "model.pt", image_size=SIZE)
    predicted: Any = YOLO(folder / "model.pt").predict(
        padded, imgsz=padded.shape[:2], conf=0.4, iou=0.5, device="cpu", verbose=False
    )
    boxes = predicted[0].boxes
    corners = boxes.xyxy.numpy() - [left, top, left, top]
    corners = corners.clip(0, [small.shape[1], small.shape[0]] * 2) / ([small.shape[1], small.shape[0]] * 2)
    centre, extent = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    visible = (extent * [sample.width, sample.height] >= 1).all(axis=1)
    found: np.ndarray = np.column_stack([boxes.cls.numpy(), centre, extent, boxes.conf.numpy()])[visible]
    return found


def farthest(one: np.ndarray, other: np.ndarray) -> float:
    """How far a row is from the nearest of the other's, at most; equally sure boxes come in any order."""
    far = np.abs(one[:, None] - other[None]).max(axis=2)
    return float(max(far.min(axis=0).max(), far.min(axis=1).max()))


@pytest.mark.parametrize("size", [(96, 64), (64, 128), (192, 96)], ids=["wide", "tall-and-larger", "wide-and-larger"])
def test_detect__finds_what_ultralytics_finds(size: tuple[int, int], tmp_path: Path) -> None:
    (sample,) = make_samples(tmp_path, 1, size=size)
    expected = by_ultralytics(sample, tmp_path)
    (found,) = YoloDetector(seeing_model(), SIZE, "cpu").detect([sample], confidence=0.4, overlap=0.5)
    assert len(expected) > 3
    assert found.shape == expected.shape
    assert (found[:, 3:5] * size >= 1 - 1e-6).all(), "nothing but a line is left of a box in the margin"
    assert ((found[:, 1:5] >= 0) & (found[:, 1:5] <= 1)).all()
    assert farthest(found, expected) < 1e-3


def test_detect__answers_in_the_order_of_the_samples(tmp_path: Path) -> None:
    mixed = [*make_samples(tmp_path, 3, size=(96, 48)), *make_samples(tmp_path, 3, size=(48, 96), seed=1)]
    detector = YoloDetector(seeing_model(), SIZE, "cpu", batch=3)
    together = detector.detect(mixed[::-1], confidence=0.4, overlap=0.5)[::-1]
    for sample, rows in zip(mixed, together, strict=True):
        (alone,) = detector.detect([sample], confidence=0.4, overlap=0.5)
        assert rows.shape == alone.shape
        assert farthest(rows, alone) < 2e-4


def test_detect__nothing_to_look_at() -> None:
    detector = YoloDetector(seeing_model(), SIZE, "cpu")
    assert detector.detect([], confidence=0.4, overlap=0.5) == []
    assert len(detector.embed([])) == 0


def test_detect__mirror_is_the_mean_of_both_views(tmp_path: Path) -> None:
    (sample,) = make_samples(tmp_path, 1, size=(96, 64))
    detector = YoloDetector(seeing_model(), SIZE, "cpu")
    (one,) = detector.detect([sample], confidence=0.05, overlap=0.5)
    (both,) = detector.detect([sample], confidence=0.3, overlap=0.5, mirror=True)
    assert len(both) > 0
    assert (both[:, 5] >= 0.3).all()
    assert both[:, 5].max() <= max(one[:, 5].max(), by_ultralytics(sample, tmp_path, mirror=True)[:, 5].max())


def rows(*boxes: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(boxes).reshape(-1, 6)


def test_unmirror__comes_back() -> None:
    found = rows((10, 5, 30, 20, 0.9, 2))
    assert unmirror(found, 100).tolist() == [[70, 5, 90, 20, pytest.approx(0.9), 2]]
    assert torch.equal(unmirror(unmirror(found, 100), 100), found)
    assert unmirror(rows(), 100).shape == (0, 6)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (rows((0, 0, 10, 10, 0.8, 1)), rows((1, 0, 10, 10, 0.4, 1)), [[0, 0, 10, 10, 0.6, 1]]),
        (rows((0, 0, 10, 10, 0.8, 1)), rows((0, 0, 10, 10, 0.7, 2)), [[0, 0, 10, 10, 0.4, 1], [0, 0, 10, 10, 0.35, 2]]),
        (rows((0, 0, 10, 10, 0.58, 1)), rows(), []),
        (rows(), rows((0, 0, 10, 10, 0.62, 1)), [[0, 0, 10, 10, 0.31, 1]]),
        (rows((0, 0, 10, 10, 0.8, 1), (0, 1, 10, 10, 0.7, 1)), rows(), [[0, 0, 10, 10, 0.4, 1]]),
        (rows(), rows(), []),
    ],
    ids=["seen-twice", "other-class", "too-faint-alone", "sure-alone", "twice-in-one-view", "nothing"],
)
def test_fuse_views__cases(one: torch.Tensor, other: torch.Tensor, expected: list[list[float]]) -> None:
    fused = fuse_views(one, other, 0.3)
    assert fused.shape == (len(expected), 6)
    torch.testing.assert_close(fused, torch.tensor(expected).reshape(-1, 6))


def test_embed__one_descriptor_per_sample_in_order(tmp_path: Path) -> None:
    samples = [*make_samples(tmp_path, 2, size=(96, 48)), *make_samples(tmp_path, 2, size=(64, 96), seed=1)]
    model = seeing_model()
    detector = YoloDetector(model, SIZE, "cpu", batch=3)
    features = detector.embed(samples)
    channels = model.model[backbone_length(model) - 1].cv2.conv.out_channels  # type: ignore[index,union-attr]  # torch
    assert features.shape == (4, channels)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(detector.embed(samples[::-1])[::-1], features, rtol=1e-4, atol=1e-5)
    assert not np.allclose(features[0], features[1])
    again = detector.embed([samples[0], replace(samples[0], name="again")])
    assert np.array_equal(again[0], again[1])
