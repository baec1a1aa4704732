"""Which format a delivery has, told by what lies there, and all of it in the terms of `layout`.

`layout` asks `foreign_keys` what to pull, `read` asks `read_layout` for folders, names and findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from treering_trainer.dataset.findings import finding
from treering_trainer.dataset.formats.coco import is_coco, read_coco
from treering_trainer.dataset.formats.cvat import read_cvat
from treering_trainer.dataset.formats.json_file import read_json
from treering_trainer.dataset.formats.label_studio import is_label_studio, read_label_studio
from treering_trainer.dataset.formats.marks import Found, Marks, Pictures, Split, Tally, UnreadableError
from treering_trainer.dataset.formats.trees import NAME_LISTS, read_tree
from treering_trainer.dataset.formats.voc import read_voc
from treering_trainer.dataset.formats.xml_file import read_xml
from treering_trainer.dataset.samples import Kind
from treering_trainer.records import Finding

OURS = ("names.json", "notes.json", "cases.json")
"""JSON that is no annotation: class names, Label Studio's notes, our own account of cases."""
KNOWN = (
    "YOLO (images/train, labels/train, names.json), YOLO as Roboflow or Darknet lay it out, COCO JSON, Pascal VOC, "
    "CVAT for images 1.1, Label Studio JSON"
)
_MEANING: Mapping[str, tuple[str, str]] = {
    "NoSuchPicture": ("pictures that the annotations name are not there, or their name is not unique", "Deliver them."),
    "NotListed": (
        "pictures are in no annotation and are not used",
        "List them, without objects if they show none.",
    ),
    "CrowdDropped": ("regions of crowds are no objects and were dropped", "None needed."),
    "MaskToBox": ("polygons or masks became the boxes around them", "None needed."),
    "MaskWithoutBox": ("masks without a box were dropped", "Export them with their bounding boxes."),
    "KeypointsDropped": ("objects lost their key points; their boxes stay", "None needed."),
    "TurnedToUpright": ("turned boxes became the upright ones around them", "None needed."),
    "ShapeDropped": ("points, tags, brushes or cuboids were dropped", "None needed, unless they mark objects."),
    "DifficultKept": ("objects marked as difficult were kept", "None needed."),
    "NotAnnotated": ("tasks that nobody has finished were left out", "Finish them, or take them away."),
    "SeveralAnnotations": ("pictures have several annotations; the last one counts", "None needed."),
}
_WARNINGS = ("NoSuchPicture", "NotListed", "MaskWithoutBox", "NotAnnotated")


@dataclass(frozen=True)
class ForeignLayout:
    """A delivery of another format.

    Args:
        format: for people.
        names: class names.
        pictures: by split, those that are used.
        labels: of each used picture its marks, or its label file; a picture of neither is unlabelled.
        findings: what was dropped or changed, and what is wrong; with an error nothing else counts.
    """

    format: str
    names: tuple[str, ...]
    pictures: Mapping[Split, tuple[Path, ...]]
    labels: Mapping[Path, Marks | Path]
    findings: tuple[Finding, ...]


def is_foreign(keys: Iterable[str]) -> bool:
    """Whether a delivery with these keys is of another format than `images/` beside `labels/`."""
    paths = [PurePosixPath(key) for key in keys]
    if any(path.parts[0] == "labels" and path.suffix == ".txt" for path in paths):
        return False
    return any(_is_annotation(path) for path in paths) or _is_tree(paths)


def foreign_keys(keys: Iterable[str], kind: Kind, image_suffixes: tuple[str, ...]) -> list[str]:
    """The keys of such a delivery that are worth fetching, sorted."""
    found = []
    for key in keys:
        path = PurePosixPath(key)
        hidden = any(part.startswith(".") for part in path.parts)
        test = kind != "holdout" and any(part.lower() == "test" for part in path.parts[:-1])
        named = path.name in (*NAME_LISTS, "data.yaml", "data.yml")
        if (
            not hidden
            and not test
            and (named or path.suffix.lower() in (*image_suffixes, ".txt") or _is_annotation(path))
        ):
            found.append(key)
    return sorted(found)


def read_layout(root: Path, name: str, kind: Kind, image_suffixes: tuple[str, ...]) -> ForeignLayout | None:
    """What lies below `root`; None where it is our own layout."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    keys = [path.relative_to(root).as_posix() for path in files]
    if not is_foreign(keys):
        return None
    wanted = [PurePosixPath(key) for key in foreign_keys(keys, kind, image_suffixes)]
    pictures = Pictures(root, (key for key in wanted if key.suffix.lower() in image_suffixes))
    tally = Tally()
    try:
        found, texts = _read(root, wanted, pictures, tally)
    except UnreadableError as error:
        one = finding("error", "BadAnnotations", f"{name}/{error.where}", error.found, error.mend)
        return ForeignLayout("", (), {}, {}, (one,))
    return _layout(found, texts, pictures, tally, name, kind)


def _read(root: Path, keys: list[PurePosixPath], pictures: Pictures, tally: Tally) -> tuple[Found, dict[Path, Path]]:
    readers = _readers(root, keys, pictures, tally)
    if len(readers) > 1:
        found = f"annotations of several formats lie there: {', '.join(readers)}"
        raise UnreadableError("annotations", found, "Deliver each format as an increment of its own.")
    if not readers:
        raise UnreadableError("annotations", "its files are of no format that is read", f"Known are {KNOWN}.")
    return next(iter(readers.values()))()


def _readers(
    root: Path, keys: list[PurePosixPath], pictures: Pictures, tally: Tally
) -> dict[str, Callable[[], tuple[Found, dict[Path, Path]]]]:
    """What could be read, by format."""
    readers: dict[str, Callable[[], tuple[Found, dict[Path, Path]]]] = {}
    parsed = {key: read_json(root / key, str(key)) for key in keys if key.suffix == ".json" and _is_annotation(key)}
    coco = {key: data for key, data in parsed.items() if is_coco(data)}
    tasks = {key: data for key, data in parsed.items() if is_label_studio(data)}
    others = [key for key in parsed if key not in coco and key not in tasks]
    if others:
        found = "JSON that is neither COCO (images, annotations, categories) nor a list of Label Studio's tasks"
        raise UnreadableError(str(others[0]), found, f"Take it away, or deliver a known format: {KNOWN}.")
    if coco:
        readers["COCO JSON"] = lambda: (read_coco(coco, pictures, tally), {})
    if tasks:
        readers["Label Studio JSON"] = lambda: (read_label_studio(tasks, pictures, tally), {})
    xml = [key for key in keys if key.suffix == ".xml"]
    cvat = [key for key in xml if key.name == "annotations.xml"]
    voc = [key for key in xml if key not in cvat]
    if cvat:
        element = read_xml(root / cvat[0], str(cvat[0]))
        readers["CVAT for images"] = lambda: (read_cvat(cvat[0], element, pictures, tally), {})
    if voc:
        lists = [key for key in keys if key.suffix == ".txt" and "ImageSets" in key.parts]
        readers["Pascal VOC"] = lambda: (read_voc(root, voc, lists, pictures, tally), {})
    if not readers:
        label = "YOLO in Roboflow's tree" if _is_split_tree(keys) else "YOLO in Darknet's tree"
        if _is_tree(keys):
            readers[label] = lambda: read_tree(root, keys, pictures, tally, label)
    return readers


def _layout(
    found: Found, texts: dict[Path, Path], pictures: Pictures, tally: Tally, name: str, kind: Kind
) -> ForeignLayout:
    labels: dict[Path, Marks | Path] = {**found.marks, **texts}
    used: dict[Split, list[Path]] = {"train": [], "val": []}
    for path, split in sorted(found.splits.items()):
        if split != "test" or kind == "holdout":
            used["val" if kind == "holdout" or split == "val" else "train"].append(path)
    for path in pictures.paths:
        if path not in found.splits:
            tally.note("NotListed", path.name)
    findings = [finding("info", "Format", name, f"read as {found.format}", "None needed.")]
    findings += [
        finding(
            "warning" if code in _WARNINGS else "info",
            code,
            name,
            f"{count} {_MEANING[code][0]}, first {tally.first[code]}"[:500],
            _MEANING[code][1],
        )
        for code, count in sorted(tally.counts.items())
    ]
    for split, paths in used.items():
        first: dict[str, Path] = {}
        for path in paths:
            other = first.setdefault(path.stem.casefold(), path)
            if other is not path:
                what = f"{split} has two pictures of the name {path.stem!r}"
                findings.append(finding("error", "SameName", f"{name}/{path.name}", what, "Rename one of them."))
    if not found.names:
        findings.append(finding("error", "NoClasses", name, "the annotations name no class", "Label the pictures."))
    return ForeignLayout(
        found.format, found.names, {split: tuple(paths) for split, paths in used.items()}, labels, tuple(findings)
    )


def _is_annotation(path: PurePosixPath) -> bool:
    if any(part.startswith(".") for part in path.parts):
        return False
    return path.suffix == ".xml" or (path.suffix == ".json" and path.name not in OURS)


def _is_split_tree(paths: Iterable[PurePosixPath]) -> bool:
    ours = ("images", "labels")
    return any(len(path.parts) > 2 and path.parts[0] not in ours and path.parts[1] in ours for path in paths)


def _is_tree(paths: Iterable[PurePosixPath]) -> bool:
    """Whether label files lie where other tools put them."""
    listed = list(paths)
    if _is_split_tree(listed):
        return True
    return any(path.name in ("obj.names", "_darknet.labels") for path in listed)
