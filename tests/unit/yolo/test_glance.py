from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.plugins.tiny_training import IMAGE_SIZE, make_samples, seeing_model
from treering_trainer.dataset import Sample
from treering_trainer.policies.freeze import backbone_length, layers_of
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.glance import picture_region
from treering_trainer.yolo.parts import head_of


@pytest.fixture
def detector() -> YoloDetector:
    return YoloDetector(seeing_model(), IMAGE_SIZE, "cpu", batch=2)


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    return (*make_samples(tmp_path / "a", 3), *make_samples(tmp_path / "b", 2, size=(96, 48), seed=4))


def test_glance__is_what_embedding_and_detecting_give(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    seen = detector.glance(samples, confidence=0.25, overlap=0.6)
    assert np.allclose(seen.images, detector.embed(samples), atol=1e-6)
    apart = replace(detector, square=True).detect(samples, confidence=0.25, overlap=0.6)
    assert sum(len(rows) for rows in apart)
    for one, other in zip(seen.found, apart, strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_glance__describes_an_image_by_itself(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    """Batches of like shapes would give a wide image less grey beside wide ones than beside square ones."""
    together, alone = (detector.glance(some, confidence=0.25, overlap=0.6) for some in (samples, samples[3:4]))
    assert np.allclose(together.images[3], alone.images[0], atol=1e-5)
    assert np.allclose(detector.embed(samples)[3], detector.embed(samples[3:4])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [((64, 64), slice(0, 4), slice(0, 4)), ((32, 64), slice(1, 3), slice(0, 4)), ((64, 16), slice(0, 4), slice(1, 3))],
)
def test_picture_region__is_what_the_image_covers(shape: tuple[int, int], rows: slice, columns: slice) -> None:
    """In a square of 64 px, with a map of 4 x 4 cells; a cell that is covered in part counts."""
    height, width = shape
    batch = {"ori_shape": [shape], "ratio_pad": [((1.0, 1.0), ((64 - width) / 2, (64 - height) / 2))]}
    assert picture_region(batch, 0, 4 / 64) == (rows, columns)


def test_glance__box_rows_follow_the_boxes(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    seen = detector.glance(samples, confidence=0.25, overlap=0.6).boxes
    assert len(seen) == sum(len(sample.boxes) for sample in samples)
    turned = [replace(sample, boxes=sample.boxes[::-1]) for sample in samples]
    again = detector.glance(turned, confidence=0.25, overlap=0.6).boxes
    assert np.allclose(again.reshape(len(samples), 2, -1)[:, ::-1].reshape(len(seen), -1), seen, atol=1e-6)
    assert not np.allclose(seen[0], seen[1])


@pytest.fixture
def bright(detector: YoloDetector) -> YoloDetector:
    """Larger input; the layers that are watched give the brightness of what lies below them, 0 to 1."""
    model, seen = detector.model, list[torch.Tensor]()

    def paint(_layer: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        size = output.shape[2], output.shape[3]
        return nn.functional.adaptive_avg_pool2d(seen[-1].mean(1, keepdim=True), size).expand_as(output)

    layers_of(model)[0].register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    head: Any = head_of(model)
    for place in (backbone_length(model) - 1, int(head.f[1])):
        layers_of(model)[place].register_forward_hook(paint)
    return replace(detector, image_size=128)


def test_glance__reads_a_box_where_it_lies_in_an_oblong_image(bright: YoloDetector, tmp_path: Path) -> None:
    (sample,) = make_samples(tmp_path, 1, size=(128, 64), seed=2)
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[16:48, 16:48] = 255
    Image.fromarray(pixels).save(sample.image)
    boxes = np.array([[0, 32 / 128, 0.5, 32 / 128, 0.5], [0, 96 / 128, 0.5, 32 / 128, 0.5]])
    light, dark = bright.glance([replace(sample, boxes=boxes)], confidence=0.25, overlap=0.6).boxes.mean(axis=1)
    assert light > 0.75 and dark < 0.1  # edges are read between two cells


def test_glance__the_grey_around_an_image_is_no_part_of_it(bright: YoloDetector, tmp_path: Path) -> None:
    (sample,) = make_samples(tmp_path, 1, size=(128, 64), seed=2)
    Image.new("RGB", (128, 64), (255, 255, 255)).save(sample.image)
    seen = bright.glance([sample], confidence=0.25, overlap=0.6)
    assert np.allclose(seen.images, 1) and np.allclose(bright.embed([sample]), 1)


def test_glance__backgrounds_and_nothing_at_all(detector: YoloDetector, samples: tuple[Sample, ...]) -> None:
    bare = replace(samples[0], boxes=np.zeros((0, 5)))
    seen = detector.glance([bare, samples[1]], confidence=0.25, overlap=0.6)
    assert (len(seen.images), len(seen.boxes)) == (2, 2)
    assert len(detector.glance([], confidence=0.25, overlap=0.6).images) == 0
