"""Pictures of people without any label, for `--people` of `bench.merge.person`: 75, out of packages by their names.

    python -m bench.merge.people --out DIR

40 frames of `vtest.avi`, evenly spaced, and three stills of Debian's `opencv-doc`; eight photographs of npm's packages,
1,280 px at most, each whole and in three pieces. A piece has .5 to .8 of both sides and lies anywhere, drawn from
`--seed`. They are written to DIR/images/train as JPEG, once all are there. The newest version of each package is taken.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image, ImageOps

DEBIAN = "opencv-doc"
VIDEO, FRAMES = "vtest.avi", 40
STILLS = ("basketball1.png", "basketball2.png", "messi5.jpg")
PHOTOGRAPHS = {
    "@vladmandic/face-api": tuple(f"sample{number}.jpg" for number in range(1, 7)),
    "@vladmandic/human": ("samples.jpg",),
    "tracking": ("faces.jpg",),
}
LONGEST, PIECES, SHARES = 1280, 3, (0.5, 0.8)
TOOLS = ("apt-get", "dpkg-deb", "npm")


def main() -> None:
    """Fetch, cut, write.

    Raises:
        SystemExit: a tool or a file is missing, a package can't be had, or --out holds pictures already.
    """
    options = parse()
    folder = options.out / "images" / "train"
    if folder.is_dir() and any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty: give another --out")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise SystemExit(f"{', '.join(missing)}: not installed; run this on Debian with its package npm")
    with TemporaryDirectory() as work:
        pictures = dict([*debian(Path(work)), *photographs(Path(work), np.random.default_rng(options.seed))])
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.jpg", quality=92)
    print(f"{len(pictures)} pictures in {folder}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True, help="where images/train/*.jpg go; none may be there yet")
    parser.add_argument("--seed", type=int, default=0, help="of the pieces, 0 or more")
    return parser.parse_args()


def debian(work: Path) -> Iterator[tuple[str, Image.Image]]:
    """Frames and stills by name; the package is unpacked in `work`."""
    call(work, "apt-get", "download", DEBIAN, mend="Run apt-get update first")
    for package in work.glob("*.deb"):
        call(work, "dpkg-deb", "-x", package.name, "deb", mend="Is the disk full?")
    yield from frames(find(work / "deb", DEBIAN, VIDEO)).items()
    for name in STILLS:
        yield Path(name).stem, shrunk(find(work / "deb", DEBIAN, name))


def frames(video: Path) -> dict[str, Image.Image]:
    """Evenly spaced from the first on, by name; read one after the other, as seeking is not exact in every AVI."""
    source, shots = cv2.VideoCapture(str(video)), dict[str, Image.Image]()
    count = int(source.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = {index * count // FRAMES for index in range(FRAMES)}
    for index in range(count):
        if source.grab() and index in wanted:
            pixels = cv2.cvtColor(source.retrieve()[1], cv2.COLOR_BGR2RGB)
            shots[f"frame-{index:03}"] = Image.fromarray(pixels)
    if len(shots) != FRAMES:
        raise SystemExit(f"{video.name}: {len(shots)} of {FRAMES} frames were read; install an OpenCV with FFmpeg")
    return shots


def photographs(work: Path, source: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Photographs by name, each before its pieces; the packages are unpacked in `work`."""
    for package, names in PHOTOGRAPHS.items():
        folder = work / package.replace("/", "-")
        folder.mkdir()
        call(folder, "npm", "pack", package, mend="Is npm's registry within reach?")
        for path in folder.glob("*.tgz"):
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        for name in names:
            whole, stem = shrunk(find(folder, package, name)), Path(name).stem
            yield stem, whole
            for number in range(1, PIECES + 1):
                yield f"{stem}-{number}", whole.crop(piece(*whole.size, source))


def find(folder: Path, package: str, name: str) -> Path:
    """The file of this name, anywhere in the unpacked package.

    Raises:
        SystemExit: there is none.
    """
    for path in sorted(folder.rglob(name)):
        return path
    raise SystemExit(f"{package} has no {name}: its newest version may have dropped it; take an older one")


def shrunk(path: Path) -> Image.Image:
    """The picture upright in RGB, its longer side LONGEST at most; smaller ones keep their size."""
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    upright.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return upright


def piece(width: int, height: int, source: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels: the same share of both sides, anywhere inside the picture."""
    share = source.uniform(*SHARES)
    inner = round(share * width), round(share * height)
    left, top = (int(source.integers(0, room, endpoint=True)) for room in (width - inner[0], height - inner[1]))
    return left, top, left + inner[0], top + inner[1]


def call(folder: Path, *words: str, mend: str) -> None:
    """Run a tool in `folder`; its words are heard only where it fails.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr.strip()}\n{mend}")


if __name__ == "__main__":
    main()
