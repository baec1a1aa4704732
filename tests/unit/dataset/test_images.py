from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from treering_trainer.dataset.images import Picture, read_picture
from treering_trainer.dataset.labels import Fault


def pattern(size: tuple[int, int] = (240, 160), seed: int = 1) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def saved(path: Path, image: Image.Image, file_format: str | None = None, **options: object) -> Path:
    image.save(path, file_format, **options)
    return path


def read(path: Path) -> Picture:
    picture = read_picture(path)
    assert isinstance(picture, Picture), picture
    return picture


def refused(path: Path) -> Fault:
    fault = read_picture(path)
    assert isinstance(fault, Fault)
    assert fault.mend
    return fault


def encoded(image: Image.Image, file_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"])
def test_read_picture__formats(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", pattern())
    picture = read(path)
    assert (picture.width, picture.height, picture.wrong_suffix) == (240, 160, "")
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    plain = int(str(imagehash.phash(pattern())), 16)
    assert (picture.phash ^ plain).bit_count() <= 4


MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "grey": lambda image: image.convert("L"),
    "palette": lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE),
    "alpha": lambda image: image.convert("RGBA"),
    "grey and alpha": lambda image: image.convert("LA"),
    "16 bits": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8),
}


@pytest.mark.parametrize("convert", MODES.values(), ids=MODES.keys())
def test_read_picture__modes_are_converted(tmp_path: Path, convert: Callable[[Image.Image], Image.Image]) -> None:
    picture = read(saved(tmp_path / "a.png", convert(pattern())))
    assert (picture.phash ^ read(saved(tmp_path / "b.png", pattern())).phash).bit_count() <= 8


def test_read_picture__cmyk(tmp_path: Path) -> None:
    assert read(saved(tmp_path / "a.jpg", pattern().convert("CMYK"))).width == 240


@pytest.mark.parametrize("mode", ["I", "F"])
def test_read_picture__32_bits(tmp_path: Path, mode: str) -> None:
    fault = refused(saved(tmp_path / "a.tif", pattern().convert("L").convert(mode)))
    assert (fault.code, fault.mend) == ("UnsupportedMode", "Convert it to 8 or 16 bits.")
    assert f"mode {mode}" in fault.found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_picture__size_as_shown(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read(saved(tmp_path / "a.jpg", pattern(), exif=exif))
    assert (picture.width, picture.height) == ((240, 160) if orientation < 5 else (160, 240))


def test_read_picture__hash_of_the_picture_as_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read(saved(tmp_path / "a.jpg", pattern().transpose(Image.Transpose.ROTATE_90), exif=exif))
    assert (turned.phash ^ read(saved(tmp_path / "b.jpg", pattern())).phash).bit_count() <= 4


def test_read_picture__zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    fault = refused(tmp_path / "a.jpg")
    assert (fault.code, fault.found) == ("EmptyImage", "zero bytes")


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9], ids=["tenth", "half", "most"])
def test_read_picture__truncated(tmp_path: Path, suffix: str, share: float) -> None:
    path = saved(tmp_path / f"a.{suffix}", pattern((640, 480)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert refused(path).code in ("TruncatedImage", "CorruptImage")


def test_read_picture__truncated_jpeg_says_so(tmp_path: Path) -> None:
    """The draft that is decoded for the hash must not stop before the cut."""
    path = saved(tmp_path / "a.jpg", pattern((640, 480)))
    path.write_bytes(path.read_bytes()[:-40])
    assert refused(path).found == "the file is cut off"


@pytest.mark.parametrize(
    "data",
    [b"<html>404</html>", b"\xff\xd8\xff" + b"\x00" * 50, b"\x89PNG\r\n\x1a\n" + b"\x00" * 50],
    ids=["web page", "JPEG head", "PNG head"],
)
def test_read_picture__corrupt(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    fault = refused(tmp_path / "a.jpg")
    assert fault.code == "CorruptImage"
    assert "Deliver the picture again" in fault.mend


def test_read_picture__format_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(pattern(), "GIF"))
    assert "no picture of a known format (JPEG, PNG" in refused(tmp_path / "a.jpg").found


def test_read_picture__wrong_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(pattern(), "PNG"))
    assert read(tmp_path / "a.jpg").wrong_suffix == "PNG"


def test_read_picture__tiny(tmp_path: Path) -> None:
    fault = refused(saved(tmp_path / "a.png", pattern((40, 9))))
    assert (fault.code, fault.found) == ("TinyImage", "40 x 9 pixels, less than 10 on a side")


@pytest.mark.parametrize("guard", [Image.MAX_IMAGE_PIXELS, None], ids=["Pillow's guard on", "switched off"])
def test_read_picture__huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: int | None) -> None:
    """Ultralytics switches Pillow's guard off for the whole process."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", guard)
    header = bytearray(encoded(pattern(), "BMP"))
    header[18:26] = (20_000).to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(header)
    fault = refused(tmp_path / "a.bmp")
    assert fault.code == "HugeImage"
    assert "Cut it into pictures" in fault.mend


def test_read_picture__unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "nowhere")
    assert refused(tmp_path / "a.jpg").code == "ImageUnreadable"
