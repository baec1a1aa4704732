"""Which split a folder, a file or a word speaks of, in the words that tools use."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

SplitWord = Literal["train", "val", "test"]

_WORDS: dict[str, SplitWord] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_word(text: str) -> SplitWord | None:
    """The split that a folder's name stands for: `train2017` is train, `Validation` is val; None for other names."""
    return _WORDS.get(re.sub(r"\d+$", "", text.casefold()))


def split_of_file(stem: str) -> SplitWord | None:
    """The split that a file's name ends in or contains as a word: `instances_val2017` is val."""
    words = (split_word(word) for word in reversed(re.split(r"[^0-9a-zA-Z]+", stem)))
    return next((word for word in words if word is not None), None)


def split_of_folders(key: PurePosixPath) -> SplitWord | None:
    """The split that one of the two outermost folders of a key stands for."""
    words = (split_word(part) for part in key.parts[:-1][:2])
    return next((word for word in words if word is not None), None)
