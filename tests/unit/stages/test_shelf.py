from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from treering_trainer.dataset import DataSet, Sample
from treering_trainer.policies.interface import TrainingData
from treering_trainer.records import Threshold
from treering_trainer.stages.shelf import load_datasets, load_training, save_datasets, save_training


def sample(image: Path) -> Sample:
    return Sample("a", image, np.array([[0, 0.1, 0.2, 1 / 3, 0.4]]), 64, 48, "ab" * 32, 7)


def test_what_is_saved__finds_its_pictures_in_another_work_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "far" / "there"
    for root in (here, there):
        (root / "rounds" / "0002-abc").mkdir(parents=True)
    picture = sample(here / "data" / "increment" / "w1" / "images" / "a.png")
    remembered = sample(here / "bank" / "b.png")
    folder = Path("rounds", "0002-abc")
    save_datasets(here / folder / "datasets.json", [DataSet("w1", "increment", ("ring",), (picture,), (picture,))])
    data = TrainingData(names=("ring",), new=(picture,), new_classes_known=(frozenset({"ring"}),), memory=(remembered,))
    save_training(here / folder / "training.json", data)
    for name in ("datasets.json", "training.json"):
        shutil.copy(here / folder / name, there / folder / name)
    (dataset,) = load_datasets(there / folder / "datasets.json")
    moved = there / "data" / "increment" / "w1" / "images" / "a.png"
    assert (dataset.train[0].image, dataset.val[0].image) == (moved, moved)
    assert np.array_equal(dataset.train[0].boxes, picture.boxes)
    training = load_training(there / folder / "training.json")
    assert (training.new[0].image, training.memory[0].image) == (moved, there / "bank" / "b.png")
    assert load_training(here / folder / "training.json").new[0].image == picture.image


def test_training__what_was_guessed_comes_back_as_it_was(tmp_path: Path) -> None:
    thresholds = {"ring": Threshold(confidence=0.4, precision=0.9, boxes=21)}
    unsure = replace(sample(tmp_path / "a.png"), ignored=np.array([[0, 0.5, 0.5, 0.1, 1 / 7]]))
    data = TrainingData(
        ("ring",), (unsure,), (frozenset(),), pseudo_labels={"ring": 3}, unsure={"ring": 2}, thresholds=thresholds
    )
    save_training(tmp_path / "training.json", data)
    back = load_training(tmp_path / "training.json")
    assert (back.thresholds, back.pseudo_labels, back.unsure) == (thresholds, {"ring": 3}, {"ring": 2})
    assert np.array_equal(back.new[0].ignored, unsure.ignored)
