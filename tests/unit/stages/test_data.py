from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from treering_api import BadDataError
from treering_trainer.dataset import DataSet, Sample
from treering_trainer.stages.classes import class_union, labelled_classes, measured_classes
from treering_trainer.stages.prepare import unite_samples
from treering_trainer.stages.verify import split


def sample(number: int, *classes: int) -> Sample:
    boxes = np.array([[index, 0.5, 0.5, 0.2, 0.2] for index in classes], dtype=np.float64).reshape(-1, 5)
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return Sample(f"s{number}", Path(f"/data/s{number}.png"), boxes, 64, 64, sha256, number)


def dataset(name: str, names: tuple[str, ...], *train: Sample, val: tuple[Sample, ...] = ()) -> DataSet:
    return DataSet(name, "increment", names, train, val)


def test_class_union__keeps_known_places_and_adds_what_is_shown() -> None:
    delivery = dataset("w2", ("root", "leaf", "ring"), sample(1, 1), sample(2, 2))
    assert class_union(("ring", "bark"), [delivery]) == ("ring", "bark", "leaf")


def test_class_union__counts_val_pictures() -> None:
    delivery = dataset("w1", ("ring", "bark"), sample(1, 0), val=(sample(2, 1),))
    assert class_union((), [delivery]) == ("ring", "bark")


def test_class_union__of_nothing_is_refused() -> None:
    with pytest.raises(BadDataError, match="no picture has a box"):
        class_union((), [dataset("w1", ("ring",), sample(1))])


def test_labelled_classes__of_backgrounds_are_all_that_are_named() -> None:
    assert labelled_classes(dataset("w1", ("ring", "bark"), sample(1))) == {"ring", "bark"}
    assert labelled_classes(dataset("w1", ("ring", "bark"), sample(1, 1))) == {"bark"}


def test_measured_classes__looks_at_val_alone() -> None:
    assert measured_classes([dataset("w1", ("ring", "bark"), sample(1, 0), val=(sample(2, 1),))]) == {"bark"}


def test_split__holds_the_same_pictures_back_whatever_comes_with_them() -> None:
    small = dataset("w1", ("ring",), *(sample(number, 0) for number in range(100)))
    large = dataset("w2", ("ring",), *(sample(number, 0) for number in range(400)))
    held, held_later = ({item.sha256 for item in split(part, 0.1).val} for part in (small, large))
    learned = {item.sha256 for item in split(small, 0.1).train}
    assert 3 <= len(held) <= 20
    assert 20 <= len(held_later) <= 60
    assert held < held_later
    assert not learned & held_later


@pytest.mark.parametrize(("pictures", "train", "val"), [(1, 1, 0), (2, 1, 1), (3, 2, 1)])
def test_split__of_few_pictures(pictures: int, train: int, val: int) -> None:
    parts = split(dataset("w1", ("ring",), *(sample(number, 0) for number in range(pictures))), 1e-6)
    assert (len(parts.train), len(parts.val)) == (train, val)


def test_split__never_takes_what_was_learned() -> None:
    everything = [sample(number, 0) for number in range(10)]
    learned = {item.sha256 for item in everything[:9]}
    assert [item.name for item in split(dataset("w1", ("ring",), *everything), 0.5, learned).val] == ["s9"]


def test_unite_samples__a_picture_delivered_twice_has_the_labels_of_both() -> None:
    first = dataset("w1", ("ring", "bark"), sample(1, 0), sample(2, 1))
    second = dataset("w2", ("leaf",), sample(1, 0))
    data = unite_samples(("ring", "bark", "leaf"), [first, second])
    assert [item.name for item in data.new] == ["w1__s1", "w1__s2"]
    assert sorted(data.new[0].boxes[:, 0]) == [0, 2]
    assert data.new_classes_known == (frozenset({"ring", "bark", "leaf"}), frozenset({"ring", "bark"}))


def test_unite_samples__a_later_delivery_corrects_its_own_classes() -> None:
    first, second = dataset("w1", ("ring",), sample(1, 0, 0)), dataset("w2", ("ring",), sample(1, 0))
    data = unite_samples(("ring",), [first, second])
    assert len(data.new[0].boxes) == 1
