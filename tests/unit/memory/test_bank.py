"""The memory as a value: labels by name, images by content, there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from treering_trainer.dataset import Sample
from treering_trainer.memory import Memory, MemoryItem, Remembered, named_box

BOXES = np.array([[1, 0.5, 0.5, 0.2, 0.1], [0, 0.25, 0.75, 0.1, 0.3]])


def sample(boxes: np.ndarray = BOXES) -> Sample:
    return Sample("IMG_1", Path("/data/IMG_1.JPG"), boxes, 640, 480, "ab" * 32, 0xF00000000000000F)


def test_memory_item__there_and_back() -> None:
    item = MemoryItem.of(sample(), ("king", "ace"), increment="w47", classes=("ace", "king"))
    assert item.key == "ab" * 32 + ".jpg"
    back = item.to_sample(Path("/bank"), {"ace": 0, "king": 1, "queen": 2})
    assert back.image == Path("/bank") / item.key
    assert back.boxes.tolist() == [[0, *BOXES[0, 1:]], [1, *BOXES[1, 1:]]]
    assert (back.width, back.height, back.sha256, back.phash) == (640, 480, "ab" * 32, 0xF00000000000000F)


def test_memory_item__classes_without_a_name_fall_away() -> None:
    item = MemoryItem.of(sample(), ("king", "ace"), increment="w47", classes=("ace", "king"))
    assert item.to_sample(Path("/bank"), {"king": 4}).boxes[:, 0].tolist() == [4]


def test_memory_item__background() -> None:
    item = MemoryItem.of(sample(np.zeros((0, 5))), ("king",), increment="w47", classes=("king",))
    assert item.to_sample(Path("/bank"), {"king": 0}).boxes.shape == (0, 5)


def test_memory__json_is_exact() -> None:
    boxes = np.array([[0, 1 / 3, 2 / 7, 1e-9, 0.1 + 0.2]])
    memory = Memory(items=(MemoryItem.of(sample(boxes), ("a",), increment="w47", classes=("a",)),))
    again = Memory.model_validate_json(memory.model_dump_json())
    assert again == memory
    (back,) = Remembered(again, Path("/bank")).samples(("a",))
    assert np.array_equal(back.boxes, boxes)


def test_memory__unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        Memory.model_validate({"items": [], "pickle": "x"})


def test_named_box__ignores_a_confidence() -> None:
    assert named_box(np.array([1, 0.1, 0.2, 0.3, 0.4, 0.99]), ("a", "b")) == ("b", 0.1, 0.2, 0.3, 0.4)


def test_memory_item__people_and_models_are_told_apart() -> None:
    said = MemoryItem.of(sample(), ("king", "ace"), increment="w47", classes=("ace", "king"))
    item = said.model_copy(
        update={
            "guessed_classes": ("queen", "jack"),
            "guesses": (("queen", 0.1, 0.2, 0.3, 0.4, 0.9),),
            "unsure": (("jack", 0.5, 0.6, 0.1, 0.1, 0.3),),
        }
    )
    (again,) = Memory.model_validate_json(Memory(items=(item,)).model_dump_json()).items
    assert again == item
    assert again.spoken == {"ace", "king", "queen", "jack"}
    assert again.labels == (*said.boxes, ("queen", 0.1, 0.2, 0.3, 0.4))
    index = {"ace": 0, "king": 1, "queen": 2, "jack": 3}
    back = again.to_sample(Path("/bank"), index)
    assert back.boxes[:, 0].tolist() == [0, 1, 2]
    assert back.ignored.tolist() == [[3, 0.5, 0.6, 0.1, 0.1]]
    assert again.people(index)[:, 0].tolist() == [0, 1]


def test_memory__of_an_older_version_is_read() -> None:
    text = (
        '{"schema_version":1,"items":[{"sha256":"ab","suffix":".png","increment":"w1","width":64,"height":64,'
        '"phash":"00","classes":["ring","bark"],"boxes":[["ring",0.5,0.5,0.2,0.2]]}]}'
    )
    (item,) = Memory.model_validate_json(text).items
    assert (item.guesses, item.unsure, item.guessed_classes) == ((), (), ())
    assert item.spoken == {"ring", "bark"}
    assert item.to_sample(Path("/bank"), {"ring": 0}).boxes.tolist() == [[0, 0.5, 0.5, 0.2, 0.2]]
