"""The worst images of a round, small enough for the page: truth and predictions drawn on a thumbnail.

Called by `pages`. A picture that is gone or can't be read costs the page its drawing, never the report. Boxes of the
record are in pixels of the picture as shown, that is, after its EXIF orientation.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from treering_trainer.records import ImageScore, RoundRecord, SetScore
from treering_trainer.report.drawing import draw_boxes
from treering_trainer.report.matching import Reading, read_image

LIMIT = 12
MAX_SIDE_PX = 320
MIN_CONFIDENCE = 0.25
_QUALITY = 80


@dataclass(frozen=True)
class Picture:
    """One image for the page.

    `data_uri` is a JPEG, None where the file is gone or is not to be shown. `keys` are what the page can filter by:
    `c<index>` for each class that is on the image or was seen on it, `s<index>` for its evaluation set.
    """

    name: str
    set_name: str
    f1: float
    keys: tuple[str, ...]
    reading: Reading
    data_uri: str | None
    width: int
    height: int


def worst_pictures(record: RoundRecord, limit: int = LIMIT, *, with_pixels: bool = True) -> tuple[Picture, ...]:
    """At most `limit` pictures, the worst first, chosen so that as many weak classes as possible have one."""
    candidates = list(_candidates(record.evaluate.after))
    chosen = _choose(candidates, record, limit)
    ordered = sorted(chosen, key=lambda one: one[1].f1)
    return tuple(_picture(record, index, score, with_pixels=with_pixels) for index, score in ordered)


def _candidates(sets: Sequence[SetScore]) -> Iterator[tuple[int, ImageScore]]:
    seen: set[str] = set()
    for index, one in enumerate(sets):
        for score in one.worst:
            if score.path not in seen:
                seen.add(score.path)
                yield index, score


def _choose(
    candidates: Sequence[tuple[int, ImageScore]], record: RoundRecord, limit: int
) -> list[tuple[int, ImageScore]]:
    """Each class's worst image in turn: otherwise one bad class fills the page and hides the others."""
    left = sorted(candidates, key=lambda one: one[1].f1)
    chosen: list[tuple[int, ImageScore]] = []
    while left and len(chosen) < limit:
        for name in record.prepare.classes:
            found = next((one for one in left if name in _classes(one[1])), None)
            if found is not None and len(chosen) < limit:
                left.remove(found)
                chosen.append(found)
        if not any(_classes(score) & set(record.prepare.classes) for _, score in left):
            chosen += left[: limit - len(chosen)]
            break
    return chosen


def _classes(score: ImageScore) -> set[str]:
    seen = {name for name, confidence, *_ in score.predictions if confidence >= MIN_CONFIDENCE}
    return seen | {name for name, *_ in score.truth}


def _picture(record: RoundRecord, set_index: int, score: ImageScore, *, with_pixels: bool) -> Picture:
    reading = read_image(score, MIN_CONFIDENCE)
    classes = _classes(score)
    keys = [f"c{index}" for index, name in enumerate(record.prepare.classes) if name in classes]
    thumbnail = _thumbnail(Path(score.path), reading) if with_pixels else None
    width, height = thumbnail.size if thumbnail else (MAX_SIDE_PX, MAX_SIDE_PX * 3 // 4)
    return Picture(
        name=score.name,
        set_name=record.evaluate.after[set_index].name,
        f1=score.f1,
        keys=(*keys, f"s{set_index}"),
        reading=reading,
        data_uri=_data_uri(thumbnail) if thumbnail else None,
        width=width,
        height=height,
    )


def thumbnail_uri(path: Path, side_px: int) -> str | None:
    """A picture as a JPEG of at most `side_px` a side, inside a URI; None where it can't be read."""
    try:
        with Image.open(path) as file:
            file.draft("RGB", (side_px, side_px))  # only JPEG can: the map has many pictures
            shown = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    shown.thumbnail((side_px, side_px))
    return _data_uri(shown)


def drawn_uri(path: Path, reading: Reading) -> tuple[str, int, int] | None:
    """A picture with its boxes inside a URI, and its size on the page; None where it can't be read."""
    shown = _thumbnail(path, reading)
    return (_data_uri(shown), *shown.size) if shown is not None else None


def _thumbnail(path: Path, reading: Reading) -> Image.Image | None:
    try:
        with Image.open(path) as file:
            shown = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    factor = min(1.0, MAX_SIDE_PX / max(shown.size))
    small = shown.resize((max(1, round(shown.width * factor)), max(1, round(shown.height * factor))))
    draw_boxes(small, reading, factor)
    return small


def _data_uri(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
