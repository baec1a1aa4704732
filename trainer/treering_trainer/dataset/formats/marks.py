"""What an annotation file says of one picture, until the picture's own size is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from treering_trainer.dataset.labels import Fault

Split = Literal["train", "val", "test"]
Corners = tuple[float, float, float, float]
"""x1, y1, x2, y2."""
_SPLITS: dict[str, Split] = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}


@dataclass(frozen=True)
class Marks:
    """The objects of one picture.

    Args:
        boxes: class name and corners, in pixels of the size below, or in shares of the picture.
        size: width and height that the pixels belong to; None: shares, or the picture's own pixels.
        shares: whether corners are shares, 0..1.
        fault: why the picture can't be used, instead of boxes.
    """

    boxes: tuple[tuple[str, Corners], ...] = ()
    size: tuple[int, int] | None = None
    shares: bool = False
    fault: Fault | None = None

    def rows(self, names: Sequence[str], width: int, height: int) -> str | Fault:
        """Label rows as YOLO has them, for a picture of this size; what reaches beyond its edges is cut off."""
        if self.fault is not None:
            return self.fault
        if self.size is not None and self.size != (width, height):
            found = f"its boxes are for {self.size[0]} x {self.size[1]} pixels, the picture has {width} x {height}"
            return Fault("OtherSize", found, "Deliver the picture that was labelled, turned as it was shown then.")
        across, down = (1, 1) if self.shares else (width, height)
        lines = []
        for name, (x1, y1, x2, y2) in self.boxes:
            left, right = (min(max(x / across, 0.0), 1.0) for x in (min(x1, x2), max(x1, x2)))
            top, bottom = (min(max(y / down, 0.0), 1.0) for y in (min(y1, y2), max(y1, y2)))
            numbers = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
            lines.append(" ".join([str(names.index(name)), *(f"{value:.9f}" for value in numbers)]))
        return "\n".join(lines)


@dataclass
class Tally:
    """What was changed or dropped on the way, by code: how many, the first of them, and what it means."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, code: str, where: str) -> None:
        """One more."""
        self.counts[code] += 1
        self.first.setdefault(code, where)


@dataclass(frozen=True)
class Found:
    """What one format makes of a delivery.

    Args:
        format: for people.
        names: class names; boxes name them.
        marks: by picture; a picture without any is not used.
        splits: by picture.
    """

    format: str
    names: tuple[str, ...]
    marks: dict[Path, Marks]
    splits: dict[Path, Split]


class UnreadableError(ValueError):
    """An annotation file that can't be believed; says which and why."""

    def __init__(self, where: str, found: str, mend: str) -> None:
        super().__init__(f"{where}: {found}")
        self.where, self.found, self.mend = where, found, mend


class Pictures:
    """The pictures of a delivery, to be found by the names that annotation files give them."""

    def __init__(self, root: Path, files: Iterable[PurePosixPath]) -> None:
        self._by_key = {str(key): root / key for key in files}
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for key, path in self._by_key.items():
            self._by_name.setdefault(PurePosixPath(key).name, []).append(path)
            self._by_stem.setdefault(PurePosixPath(key).stem, []).append(path)

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return tuple(self._by_key.values())

    def find(self, name: str, *places: str, where: str) -> Path | None:
        """The picture that a file calls `name`, looked for in `places`, then by its name alone if only one has it.

        Raises:
            UnreadableError: the name leads out of the delivery.
        """
        plain = PurePosixPath(name.replace("\\", "/"))
        if plain.is_absolute() or ".." in plain.parts:
            found = f"it names a picture outside of the delivery: {name[:120]!r}"
            raise UnreadableError(where, found, "Export it anew with paths inside of the delivery.")
        for place in places:
            if (path := self._by_key.get(str(PurePosixPath(place) / plain))) is not None:
                return path
        return self._only(self._by_name.get(plain.name, []))

    def by_stem(self, stem: str) -> Path | None:
        """The only picture whose name without suffix is this."""
        return self._only(self._by_stem.get(stem, []))

    @staticmethod
    def _only(paths: list[Path]) -> Path | None:
        return paths[0] if len(paths) == 1 else None


def split_of(key: PurePosixPath) -> Split:
    """The split that a path tells of: its folders, or its file's name, such as instances_val2017.json."""
    for part in (*key.parts[:-1], *key.stem.lower().replace("-", "_").replace(".", "_").split("_")):
        word = part.lower().rstrip("0123456789")
        if word in ("test", "testing"):
            return "test"
        if word in _SPLITS:
            return _SPLITS[word]
    return "train"


def around(points: Sequence[tuple[float, float]]) -> Corners:
    """The corners of the upright rectangle around points."""
    across, down = [x for x, _ in points], [y for _, y in points]
    return min(across), min(down), max(across), max(down)


def turned(left: float, top: float, width: float, height: float, degrees: float, pivot: tuple[float, float]) -> Corners:
    """The upright rectangle around one that is turned clockwise about `pivot`."""
    turn = math.radians(degrees)
    points = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    x0, y0 = pivot
    return around(
        [
            (
                x0 + (x - x0) * math.cos(turn) - (y - y0) * math.sin(turn),
                y0 + (x - x0) * math.sin(turn) + (y - y0) * math.cos(turn),
            )
            for x, y in points
        ]
    )


def number(value: object, where: str, what: str) -> float:
    """A finite number that a file holds, as such or as text.

    Raises:
        UnreadableError: it is none.
    """
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise UnreadableError(where, f"{what} is {str(value)[:40]!r}, no finite number", "Correct it, or take it away.")
    return found
