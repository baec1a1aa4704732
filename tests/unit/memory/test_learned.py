from __future__ import annotations

from pathlib import Path

from treering_trainer.dataset import DataSet, Sample, no_boxes
from treering_trainer.memory import Learned


def dataset(name: str, *digests: str) -> DataSet:
    train = tuple(Sample(item, Path(item), no_boxes(), 1, 1, item, 2**63 + 5) for item in digests)
    return DataSet(name, "increment", ("ring",), train, ())


def test_learned__keeps_each_picture_under_the_increment_that_brought_it_first() -> None:
    learned = Learned().with_train([dataset("w1", "a", "b")]).with_train([dataset("w2", "b", "c"), dataset("w3", "a")])
    assert {name: list(pictures) for name, pictures in learned.increments.items()} == {"w1": ["a", "b"], "w2": ["c"]}


def test_learned__comes_back_from_its_file() -> None:
    learned = Learned.model_validate_json(Learned().with_train([dataset("w1", "a")]).model_dump_json())
    (item,) = learned.datasets()
    assert (item.name, [(sample.sha256, sample.phash) for sample in item.train]) == ("w1", [("a", 2**63 + 5)])
