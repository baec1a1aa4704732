"""Pictures: one read of a file gives its hash, its size as shown and its perceptual hash, or the reason why not.

Called by `read` in a pool of threads. Every picture is decoded to its end, so that a truncated one is found; JPEGs at
an eighth of their size where that is enough for the hash, which still walks through all of their data.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from treering_trainer.dataset.labels import Fault

MIN_SIDE_PX = 10
"""Pictures below are dropped by ultralytics without a word."""
MAX_PIXELS = 178_956_970
"""Above, Pillow refuses to decode; said here too, because ultralytics switches that off for the whole process."""

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),  # what phones write: a JPEG with a second picture behind it
    "PNG": (".png",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
_FORMATS = [name for name in _SUFFIXES if name != "MPO"]
# 32-bit samples have no agreed range, and OpenCV, which trains on the file, does not read them.
_UNREADABLE_MODES = ("I", "F")
_SIDEWAYS = (5, 6, 7, 8)
_HASH_PX = 64
"""A draft keeps at least this many pixels a side: twice what the hash is made from."""


@dataclass(frozen=True)
class Picture:
    """What is known of a picture's file; width and height are pixels after the EXIF orientation."""

    width: int
    height: int
    sha256: str
    phash: int
    wrong_suffix: str = ""


def read_picture(path: Path) -> Picture | Fault:
    """Read, hash and decode one picture; palettes, alpha, CMYK and 16 bits are converted on the way, as in training.

    Returns a `Fault` for a file that is empty, cut off, broken, of no accepted format, too small or too large.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return Fault("ImageUnreadable", f"can't be read: {error.strerror}", "Make the file readable, or take it away.")
    if not data:
        return Fault("EmptyImage", "zero bytes", "Deliver the picture again, or take it away.")
    return _decode(data, path.suffix.lower())


def _decode(data: bytes, suffix: str) -> Picture | Fault:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _unusable(image) or _picture(image, data, suffix)
    except UnidentifiedImageError:
        found = f"is no picture of a known format ({', '.join(_FORMATS)})"
        return Fault("CorruptImage", found, "Deliver the picture again, or convert it.")
    except Image.DecompressionBombError:
        return _too_large("more than Pillow decodes")
    except Exception as error:  # Pillow's decoders raise whatever they trip over, not only OSError
        cut = "truncated" in str(error).lower()
        found = "the file is cut off" if cut else f"can't be decoded: {str(error) or type(error).__name__}"
        return Fault("TruncatedImage" if cut else "CorruptImage", found, "Deliver the picture again, or take it away.")


def _unusable(image: Image.Image) -> Fault | None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return _too_large(f"{width} x {height} pixels")
    if min(width, height) < MIN_SIDE_PX:
        found = f"{width} x {height} pixels, less than {MIN_SIDE_PX} on a side"
        return Fault("TinyImage", found, "Deliver a larger picture, or take it away.")
    if image.mode in _UNREADABLE_MODES:
        found = f"32-bit samples (mode {image.mode}), which training can't read"
        return Fault("UnsupportedMode", found, "Convert it to 8 or 16 bits.")
    return None


def _too_large(found: str) -> Fault:
    return Fault("HugeImage", f"too large: {found}", f"Cut it into pictures of at most {MAX_PIXELS} pixels.")


def _picture(image: Image.Image, data: bytes, suffix: str) -> Picture:
    width, height = image.size
    file_format = image.format or ""
    image.draft("L", (_HASH_PX, _HASH_PX))  # only JPEG can; the others decode in full
    image.load()
    if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS:
        width, height = height, width
    upright = ImageOps.exif_transpose(_grey(image))
    bits = imagehash.phash(upright).hash
    wrong_suffix = "" if suffix in _SUFFIXES[file_format] else file_format
    return Picture(width, height, hashlib.sha256(data).hexdigest(), _as_integer(bits), wrong_suffix)


def _grey(image: Image.Image) -> Image.Image:
    """8-bit grey; Pillow would clip 16 bits to white instead of scaling them."""
    if image.mode.startswith("I;16"):
        grey = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        grey.info.update(image.info)
        return grey
    return image.convert("L")


def _as_integer(bits: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
