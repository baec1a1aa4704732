"""Why a file is not read, on its way from the child to the parent, and the bounds that every file is held to."""

from __future__ import annotations

LARGEST_FILE_BYTES = 4 << 30
LARGEST_PICKLE_BYTES = 64 << 20
LARGEST_HEADER_BYTES = 16 << 20
MOST_ENTRIES = 100_000
MOST_TENSORS = 50_000
MOST_CLASSES = 10_000
DEEPEST = 40
"""Modules inside modules, or containers inside containers."""

OTHER_FILE = "Give a checkpoint of ultralytics, YOLOv5 or YOLOv9 (.pt), or a .safetensors file."
DAMAGED = "Give the file complete and unchanged, as it was saved."
DISTRUST = "Don't load it anywhere; ask for a checkpoint from someone you trust."


class RefusedError(Exception):
    """The file can't be taken.

    Args:
        found: what it holds, in words, after the file's name.
        mend: what to give in its place.
        foreign: the type whose loading would run code, if that is why.
    """

    def __init__(self, found: str, mend: str = OTHER_FILE, *, foreign: str = "") -> None:
        super().__init__(found, mend, foreign)
        self.found = found
        self.mend = mend
        self.foreign = foreign


def damaged(found: str) -> RefusedError:
    """The refusal of a file that contradicts itself."""
    return RefusedError(f"is no checkpoint that can be read ({found})", DAMAGED)
