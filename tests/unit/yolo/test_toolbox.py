"""What policies ask of the machinery: losses with gradients, whatever the model was used for before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.plugins.tiny_training import IMAGE_SIZE, differing, make_samples, seeing_model, tensors_of
from treering_api import ResumableError
from treering_trainer.dataset import Sample, no_boxes
from treering_trainer.engine.stop import StopRequest
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.toolbox import YoloToolbox

NAMES = ("a", "b", "c")
TOOLBOX = YoloToolbox(IMAGE_SIZE, "cpu")


def loss_of(sample: Sample) -> float:
    ((images, batch),) = TOOLBOX.batches((sample,), NAMES, batch=1)
    return float(TOOLBOX.loss(seeing_model(NAMES), images, batch).detach())


def test_loss__has_gradients_after_a_detection(tmp_path: Path) -> None:
    """Detections leave anchors behind that no gradient can go through."""
    samples, model = make_samples(tmp_path, 1), seeing_model(NAMES)
    YoloDetector(model, IMAGE_SIZE, "cpu").detect(samples, confidence=0.1, overlap=0.5)
    ((images, batch),) = TOOLBOX.batches(samples, NAMES, batch=1)
    TOOLBOX.loss(model, images, batch).backward()
    gradient = dict(model.named_parameters())["model.0.conv.weight"].grad
    assert gradient is not None and float(gradient.abs().sum()) > 0


def test_loss__heeds_boxes_in_which_nothing_is_known(tmp_path: Path) -> None:
    (sample,) = make_samples(tmp_path, 1)
    everywhere = np.array([[kind, 0.5, 0.5, 1.0, 1.0] for kind in range(3)])
    background = replace(sample, boxes=no_boxes())
    assert 0 <= loss_of(replace(background, ignored=everywhere)) < loss_of(background)


def test_map50__without_an_object_there_is_nothing_to_measure(tmp_path: Path) -> None:
    (sample,) = make_samples(tmp_path, 1)
    model = seeing_model(NAMES)
    before = tensors_of(model)
    assert TOOLBOX.map50(model, (replace(sample, boxes=no_boxes(), ignored=sample.boxes),)) == {}
    told = TOOLBOX.map50(model, (replace(sample, ignored=sample.boxes),))
    assert told.keys() == {NAMES[int(row[0])] for row in sample.boxes}
    assert differing(before, tensors_of(model)) == []
    assert not torch.is_inference_mode_enabled()


def test_a_stop__is_heeded_before_the_next_batch_and_before_a_measurement(tmp_path: Path) -> None:
    """Searching for the best point between two models, or importances, may take as long as the training did."""
    samples, stop = make_samples(tmp_path, 3), StopRequest()
    toolbox = YoloToolbox(IMAGE_SIZE, "cpu", stop=stop)
    batches = toolbox.batches(samples, NAMES, batch=1)
    next(batches)
    stop.request("SIGTERM")
    with pytest.raises(ResumableError, match="stopped by SIGTERM"):
        next(batches)
    with pytest.raises(ResumableError, match="stopped by SIGTERM"):
        toolbox.map50(seeing_model(NAMES), samples)
