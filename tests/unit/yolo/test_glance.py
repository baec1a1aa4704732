from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.plugins.tiny_training import IMAGE_SIZE, make_samples, seeing_model
from treering_trainer.dataset import Sample
from treering_trainer.yolo.detector import YoloDetector


@pytest.fixture
def detector() -> YoloDetector:
    return YoloDetector(seeing_model(), IMAGE_SIZE, "cpu", batch=2)


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    return (*make_samples(tmp_path / "a", 3), *make_samples(tmp_path / "b", 2, size=(96, 48), seed=4))


def test_glance__is_what_embedding_and_detecting_give(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    seen = detector.glance(samples, confidence=0.25, overlap=0.6)
    assert np.allclose(seen.images, detector.embed(samples), atol=1e-6)
    apart = detector.detect(samples, confidence=0.25, overlap=0.6)
    assert sum(len(rows) for rows in apart)
    for one, other in zip(seen.found, apart, strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_glance__box_rows_follow_the_boxes(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    seen = detector.glance(samples, confidence=0.25, overlap=0.6).boxes
    assert len(seen) == sum(len(sample.boxes) for sample in samples)
    turned = [replace(sample, boxes=sample.boxes[::-1]) for sample in samples]
    again = detector.glance(turned, confidence=0.25, overlap=0.6).boxes
    assert np.allclose(again.reshape(len(samples), 2, -1)[:, ::-1].reshape(len(seen), -1), seen, atol=1e-6)
    assert not np.allclose(seen[0], seen[1])


def test_glance__reads_a_box_where_it_lies_in_an_oblong_image(detector: YoloDetector, tmp_path: Path) -> None:
    """The same bright patch left and right in a wide image: its features must not depend on the padding."""
    (sample,) = make_samples(tmp_path, 1, size=(128, 64), seed=2)
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[16:48, 16:48] = 255
    Image.fromarray(pixels).save(sample.image)
    bright = np.array([[0, 32 / 128, 0.5, 32 / 128, 0.5]])
    dark = np.array([[0, 96 / 128, 0.5, 32 / 128, 0.5]])
    pair = detector.glance([replace(sample, boxes=np.concatenate([bright, dark]))], confidence=0.25, overlap=0.6)
    Image.fromarray(pixels[:, ::-1]).save(sample.image)
    mirrored = detector.glance([replace(sample, boxes=np.concatenate([dark, bright]))], confidence=0.25, overlap=0.6)
    apart = np.linalg.norm(pair.boxes[0] - pair.boxes[1])
    assert np.linalg.norm(pair.boxes[0] - mirrored.boxes[0]) < apart
    assert np.linalg.norm(pair.boxes[1] - mirrored.boxes[1]) < apart


def test_glance__backgrounds_and_nothing_at_all(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    bare = replace(samples[0], boxes=np.zeros((0, 5)))
    seen = detector.glance([bare, samples[1]], confidence=0.25, overlap=0.6)
    assert (len(seen.images), len(seen.boxes)) == (2, 2)
    assert len(detector.glance([], confidence=0.25, overlap=0.6).images) == 0
