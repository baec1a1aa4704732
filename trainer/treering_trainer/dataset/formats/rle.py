"""Run-length masks of COCO: only the box around them is wanted, and that needs no mask.

pycocotools would decode each into an array, in C code that trusts its input (sizes come from the file), and is one more
compiled wheel for both processors. The corners follow from the runs in a few lines, with every number checked.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from treering_trainer.dataset.marks import Corners

_MAX_SIDE = 1_000_000


def mask_corners(mask: dict[str, Any]) -> Corners | None:
    """The corners of the box around a mask `{"size": [height, width], "counts": ...}`; None for an empty one.

    Raises:
        ValueError: it is no such mask.
    """
    side = mask.get("size")
    if not isinstance(side, list) or len(side) != 2 or not all(_is_side(item) for item in side):
        raise ValueError("a mask without a size")
    counts = mask.get("counts")
    runs = _runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
        raise ValueError("a mask without counts")
    if sum(runs) != side[0] * side[1]:
        raise ValueError(f"a mask whose runs don't add up to {side[1]} x {side[0]} pixels")
    return _corners(runs, side[0])


def _is_side(value: object) -> bool:
    return isinstance(value, int) and 0 < value <= _MAX_SIDE


def _corners(runs: list[int], height: int) -> Corners | None:
    """Runs go down the columns, background first."""
    ends = [*accumulate(runs)]
    spans = [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False) if end > start]
    if not spans:
        return None
    left, right = spans[0][0] // height, (spans[-1][1] - 1) // height + 1
    top, bottom = height, 0
    for start, end in spans:
        if start // height != (end - 1) // height:
            return float(left), 0.0, float(right), float(height)
        top, bottom = min(top, start % height), max(bottom, (end - 1) % height + 1)
    return float(left), float(top), float(right), float(bottom)


def _runs(text: str) -> list[int]:
    """COCO's compressed counts: five bits a character, from the fourth number on as differences to the last but one."""
    runs: list[int] = []
    value, shift = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("a mask whose counts are not COCO's")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs
