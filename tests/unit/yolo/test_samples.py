"""Pictures on their way to the network: the same whoever loads them, and nothing left from the epoch before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ultralytics.cfg import get_cfg

from tests.plugins.tiny_training import IMAGE_SIZE, make_samples
from treering_trainer.dataset import Sample
from treering_trainer.engine.order import EpochBatches, Mix
from treering_trainer.yolo import samples as samples_module
from treering_trainer.yolo.samples import training_loader, training_set

HYP = get_cfg(overrides={"imgsz": IMAGE_SIZE, "mixup": 0.5})


def loaded(samples: tuple[Sample, ...], *, workers: int, epoch: int) -> list[torch.Tensor]:
    dataset = training_set(samples, ("a", "b", "c"), HYP, batch=3, stride=32)
    batches = EpochBatches(Mix(len(samples), 0, 3), seed=1)
    batches.epoch = epoch
    loader = training_loader(dataset, batches, workers=workers, pin=False)
    images = [batch["img"] for batch in loader]
    loader.close()
    return images


def test_training_loader__the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 7)
    alone, shared = loaded(samples, workers=0, epoch=4), loaded(samples, workers=2, epoch=4)
    assert [len(batch) for batch in alone] == [3, 4]
    assert all(torch.equal(left, right) for left, right in zip(alone, shared, strict=True))
    other = loaded(samples, workers=0, epoch=5)
    assert not torch.equal(alone[0], other[0])


def test_training_loader__leaves_the_random_numbers_of_others_alone(tmp_path: Path) -> None:
    import random

    import numpy as np

    samples = make_samples(tmp_path, 4)
    drawn = []
    for count in (0, 1):
        random.seed(3)
        np.random.seed(3)
        dataset = training_set(samples, ("a", "b", "c"), HYP, batch=3, stride=32)
        random.seed(3)
        np.random.seed(3)
        for place in next(iter(EpochBatches(Mix(4, 0, 3), seed=1)))[:count]:
            dataset[place]
        drawn.append((random.random(), np.random.rand()))
    assert drawn[0] == drawn[1]


def test_training_loader__shows_what_the_order_says(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 9)
    dataset = training_set(samples, ("a", "b", "c"), HYP, batch=4, stride=32)
    loader = training_loader(dataset, EpochBatches(Mix(9, 0, 4), seed=1), workers=0, pin=False)
    shown = [batch["im_file"] for batch in loader]
    assert [len(files) for files in shown] == [4, 5]
    assert sorted(file for files in shown for file in files) == sorted(str(sample.image) for sample in samples)


def test_prefill__forgets_the_epoch_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_module, "_fits_in_memory", lambda *_: False)
    dataset = training_set(make_samples(tmp_path, 6), ("a", "b", "c"), HYP, batch=2, stride=32)
    for index in (5, 4, 3):
        dataset.load_image(index)
    dataset.prefill([0, 1, 2])
    assert dataset.buffer == [0, 1, 2]
    assert all(image is None for image in dataset.ims)


def test_training_set__labels_are_not_read_from_files(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "images", 2)
    (tmp_path / "labels").mkdir()
    for sample in samples:
        (tmp_path / "labels" / f"{sample.name}.txt").write_text("0 0.1 0.1 0.1 0.1\n")
    dataset = training_set(samples, ("a", "b", "c"), HYP, batch=2, stride=32)
    assert [label["cls"].ravel().tolist() for label in dataset.labels] == [
        sample.boxes[:, 0].tolist() for sample in samples
    ]
    assert not list(tmp_path.rglob("*.cache"))
