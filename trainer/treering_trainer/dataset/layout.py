"""Where things lie in a data set: the YOLO layout, as keys in a store and as files on disk.

`formats` asks `is_native` what to pull and `scan` what has come, and knows the places of other tools. Accepted is
`images/SPLIT/x.jpg` beside `labels/SPLIT/x.txt` with the splits train, val and test (test belongs to nobody but a
hold-out), or `images/x.jpg` beside `labels/x.txt`, which is all train. Nothing else is ever pulled or opened: a label
cache is a pickle and would run code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from treering_api import BadDataError
from treering_trainer.dataset.marks import Marks
from treering_trainer.dataset.samples import Kind, Split
from treering_trainer.records import Finding

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
NAMES_FILES = ("names.json", "data.yaml", "classes.txt")
FOLDERS = ("train", "val", "test")

_LAYOUT = f"Put pictures in images/train and images/val with one of the suffixes {' '.join(IMAGE_SUFFIXES)}"


@dataclass(frozen=True)
class Folder:
    """One folder of pictures with its folder of labels.

    Attributes:
        name: `train`, `val`, `test`, or empty for files that lie in `images/` itself.
        split: what it counts as.
        images: sorted; no two of them have the same stem.
        labels: label file by name, or what an annotation file holds about the picture.
        names: name of a picture, where it is not the stem of its file.
        root: the data set's folder, where `images` lie in more than one below it; addresses are relative to it.
        label_place: where a missing label file belongs, as `{}` with the picture's name.
    """

    name: str
    split: Split
    images: tuple[Path, ...]
    labels: Mapping[str, Path | Marks]
    names: Mapping[Path, str] = field(default_factory=dict)
    root: Path | None = None
    label_place: str = "labels/{}.txt"

    def name_of(self, image: Path) -> str:
        """A picture's name, unique in its split."""
        return self.names.get(image, image.stem)

    def address(self, name: str, file: Path) -> str:
        """A picture's or a label file's address in findings about data set `name`."""
        return place(name, self.name, file.name) if self.root is None else f"{name}/{file.relative_to(self.root)}"


@dataclass(frozen=True)
class Layout:
    """What lies in a data set, before any file is opened."""

    folders: tuple[Folder, ...]
    findings: tuple[Finding, ...]


@dataclass
class _Scan:
    """The work on one data set."""

    root: Path
    name: str
    kind: Kind
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        self.findings.append(finding)


def is_native(key: PurePosixPath, kind: Kind) -> bool:
    """Whether a key, relative to a data set's root, is worth fetching.

    Pictures and labels with known suffixes under `images/` and `labels/`, and the files with class names at the root.
    The test split is left out, except for a hold-out. Folders that the layout does not know are in, so that `scan` can
    refuse them aloud.
    """
    if any(part.startswith(".") for part in key.parts):
        return False
    if len(key.parts) == 1:
        return key.name in NAMES_FILES
    if len(key.parts) > 2 and key.parts[1] == "test" and kind != "holdout":
        return False
    suffixes = {"images": IMAGE_SUFFIXES, "labels": (".txt",)}.get(key.parts[0], ())
    return key.suffix.lower() in suffixes


def scan(root: Path, name: str, kind: Kind) -> Layout:
    """List a data set's files and what is wrong with their names and places.

    Findings: `SameName` and `UnknownFolder` and `MixedLayout` (errors), `EmptyIncrement` (error: nothing to train
    or to measure on), `LabelWithoutImage` and `UnknownSuffix` (warnings). A root that is absent is an empty one.
    """
    work = _Scan(root, name, kind)
    used = [folder for folder in FOLDERS if folder != "test" or kind == "holdout"]
    folders = [_folder(work, folder) for folder in ("", *used)]
    _refuse_other_folders(work)
    _refuse_mixed(work, folders)
    _refuse_same_name_across(work, folders)
    work.findings += empty_findings(work.name, kind, folders)
    return Layout(tuple(folder for folder in folders if folder.images), tuple(work.findings))


def empty_findings(name: str, kind: Kind, folders: Iterable[Folder]) -> list[Finding]:
    """The error `EmptyIncrement` or `EmptyHoldout`, where there is nothing to train or to measure on."""
    split = "val" if kind == "holdout" else "train"
    if kind == "memory" or any(folder.images for folder in folders if folder.split == split):
        return []
    found = f"empty {kind}: no picture to {'measure on' if split == 'val' else 'train on'}"
    return [_error("EmptyIncrement" if split == "train" else "EmptyHoldout", name, found, f"{_LAYOUT}.")]


def place(name: str, folder: str, file: str) -> str:
    """A file's address in findings: `<data set>/<folder>/<file>`."""
    return "/".join(part for part in (name, folder, file) if part)


def list_pictures(folder: Path, most: int | None = None) -> list[Path]:
    """The pictures of a folder of any layout, subfolders included, by path.

    Args:
        most: so many of the first ones, at least 1; None: all.

    Raises:
        BadDataError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise BadDataError(
            str(folder), "there are no pictures in it", f"Give one with files that end in {' '.join(IMAGE_SUFFIXES)}."
        )
    return found[:most]


def _folder(work: _Scan, folder: str) -> Folder:
    images = _unique(work, folder, _images(work, folder))
    labels = {path.stem: path for path in _files(work.root / "labels" / folder) if path.suffix.lower() == ".txt"}
    _warn_of_orphans(work, folder, labels, {path.stem for path in images})
    split: Split = "train" if work.kind != "holdout" and folder != "val" else "val"
    label_place = "/".join(part for part in ("labels", folder, "{}.txt") if part)
    return Folder(folder, split, images, labels, label_place=label_place)


def _images(work: _Scan, folder: str) -> list[Path]:
    found = []
    for path in _files(work.root / "images" / folder):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.append(path)
        else:
            mend = f"Convert it to one of {' '.join(IMAGE_SUFFIXES)}, or take it away."
            where = place(work.name, folder, path.name)
            work.add(_warning("UnknownSuffix", where, f"the suffix {path.suffix or '(none)'} is not read", mend))
    return found


def _files(folder: Path) -> list[Path]:
    """Files and dangling links of a folder, sorted; hidden ones (`.DS_Store`, `._x.jpg`) are nobody's data."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())


def _unique(work: _Scan, folder: str, images: list[Path]) -> tuple[Path, ...]:
    first: dict[str, Path] = {}
    for path in images:
        other = first.setdefault(path.stem.casefold(), path)
        if other is not path:
            _refuse_same_name(work, place(work.name, folder, path.name), place(work.name, folder, other.name))
    return tuple(first.values())


def _refuse_same_name(work: _Scan, where: str, other: str) -> None:
    found = f"has the same name as {other}, suffix and case aside, so both would share one label file"
    work.add(_error("SameName", where, found, "Rename one of the two pictures, and its label file with it."))


def _warn_of_orphans(work: _Scan, folder: str, labels: Mapping[str, Path], stems: set[str]) -> None:
    for stem in sorted(labels.keys() - stems - {"classes"}):  # labelImg leaves a classes.txt among the labels
        mend = "Deliver the picture too, or take the label file away."
        where = place(work.name, folder, labels[stem].name)
        work.add(_warning("LabelWithoutImage", where, "a label file without a picture of that name", mend))


def _refuse_other_folders(work: _Scan) -> None:
    images = work.root / "images"
    inside = [images, *(images / folder for folder in FOLDERS)]
    known = set(inside)
    for folder in sorted(path for parent in inside if parent.is_dir() for path in parent.iterdir() if path.is_dir()):
        if folder not in known and not folder.name.startswith("."):
            where = f"{work.name}/{folder.relative_to(work.root).as_posix()}"
            mend = "Move its pictures to images/train or images/val and its labels to the same folder under labels."
            work.add(_error("UnknownFolder", where, "a folder that the YOLO layout does not have", mend))


def _refuse_mixed(work: _Scan, folders: list[Folder]) -> None:
    loose, *others = folders
    if loose.images and any(folder.images for folder in others):
        found = f"{len(loose.images)} pictures lie beside the split folders, {loose.images[0].name} for one"
        work.add(_error("MixedLayout", f"{work.name}/images", found, "Move them into images/train or images/val."))


def _refuse_same_name_across(work: _Scan, folders: list[Folder]) -> None:
    """A hold-out's folders become one split, so names must differ across them too."""
    if work.kind != "holdout":
        return
    first: dict[str, str] = {}
    for folder in folders:
        for path in folder.images:
            here = place(work.name, folder.name, path.name)
            if (other := first.setdefault(path.stem.casefold(), here)) != here:
                _refuse_same_name(work, here, other)


def _error(code: str, where: str, found: str, mend: str) -> Finding:
    return Finding(severity="error", code=code, where=where, found=found, mend=mend)


def _warning(code: str, where: str, found: str, mend: str) -> Finding:
    return Finding(severity="warning", code=code, where=where, found=found, mend=mend)
