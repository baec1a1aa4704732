import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.merge import people


@pytest.mark.parametrize("size", [(1280, 853), (600, 346), (7, 5)])
def test_piece__half_to_four_fifths_of_both_sides_inside_the_picture(size: tuple[int, int]) -> None:
    source = np.random.default_rng(0)
    width, height = size
    for _ in range(200):
        left, top, right, bottom = people.piece(width, height, source)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        for side, inner in ((width, right - left), (height, bottom - top)):
            assert 0.5 * side - 0.5 <= inner <= 0.8 * side + 0.5


def test_piece__drawn_from_the_seed_and_anywhere() -> None:
    def draw(seed: int) -> list[tuple[int, int, int, int]]:
        source = np.random.default_rng(seed)
        return [people.piece(100, 80, source) for _ in range(300)]

    assert draw(3) == draw(3) != draw(4)
    boxes = np.array(draw(3))
    assert boxes[:, :2].min(axis=0).tolist() == [0, 0] and boxes[:, 2:].max(axis=0).tolist() == [100, 80]


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1280), (1280, 853)), ((1000, 2560), (500, 1280)), ((600, 346), (600, 346))]
)
def test_shrunk__longer_side_at_most(size: tuple[int, int], expected: tuple[int, int], tmp_path: Path) -> None:
    Image.new("L", size).save(tmp_path / "a.png")
    picture = people.shrunk(tmp_path / "a.png")
    assert (picture.size, picture.mode) == (expected, "RGB")


def test_find__anywhere_in_the_package_and_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "package" / "demo").mkdir(parents=True)
    (tmp_path / "package" / "demo" / "a.jpg").touch()
    assert people.find(tmp_path, "x", "a.jpg") == tmp_path / "package" / "demo" / "a.jpg"
    with pytest.raises(SystemExit, match=r"x has no b\.jpg: .*take an older one"):
        people.find(tmp_path, "x", "b.jpg")


def test_main__says_which_tool_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["people", "--out", str(tmp_path / "out")])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get, dpkg-deb, npm: not installed; run this on Debian"):
        people.main()
    assert not (tmp_path / "out").exists()


def test_main__never_mixes_with_other_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "old.jpg").touch()
    monkeypatch.setattr(sys, "argv", ["people", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="is not empty: give another --out"):
        people.main()
