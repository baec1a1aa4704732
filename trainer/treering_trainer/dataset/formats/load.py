"""A data set in whatever format, as the folders that `read` checks: what `scan` is for the YOLO layout.

Called by `read` on the files that were pulled. Nothing is raised for bad data; it becomes findings of the layout.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from treering_api.errors import BadDataError
from treering_trainer.dataset.formats.coco import is_coco, read_coco
from treering_trainer.dataset.formats.cvat import read_cvat
from treering_trainer.dataset.formats.documents import read_json
from treering_trainer.dataset.formats.label_studio import is_label_studio, read_label_studio
from treering_trainer.dataset.formats.pictures import Pictures, pictures_below
from treering_trainer.dataset.formats.reading import Reading
from treering_trainer.dataset.formats.recognition import (
    ACCEPTED,
    CVAT,
    DARKNET,
    JSON,
    VOC,
    YOLO,
    YOLO_TREE,
    Format,
    recognise,
    wanted_keys,
)
from treering_trainer.dataset.formats.splits import SplitWord
from treering_trainer.dataset.formats.trees import tree_entries, tree_names
from treering_trainer.dataset.formats.voc import read_voc
from treering_trainer.dataset.layout import Folder, Layout, empty_findings, scan
from treering_trainer.dataset.marks import Marks
from treering_trainer.dataset.names import checked_names, read_names
from treering_trainer.dataset.samples import Kind
from treering_trainer.records import Finding

_Labelled = tuple[str, SplitWord, Path | Marks | None]


@dataclass(frozen=True)
class Loaded:
    """What lies in a data set, and where its class names come from.

    Attributes:
        names: as the annotations have them; None where they stand in a file of their own.
        row: the format, where names stand in a file; None for the YOLO layout.
    """

    layout: Layout
    names: tuple[str, ...] | None = None
    row: Format | None = None

    @property
    def brings_names(self) -> bool:
        """Whether the annotations name the classes themselves."""
        return self.names is not None or self.row is DARKNET

    def class_names(self, root: Path, name: str) -> tuple[str, ...]:
        """The class names, checked.

        Raises:
            BadDataError: there are none, or they can't be used.
        """
        if self.names is not None:
            return checked_names(self.names, f"{name}/classes")
        return read_names(root, name) if self.row is None else tree_names(self.row, root, name)


def load(root: Path, name: str, kind: Kind) -> Loaded:
    """List a data set's pictures and what is known of them; formats are told by the places of the files.

    Findings: those of `scan` for the YOLO layout; else `Recognised` (info), `UnknownFormat`, `BadAnnotations`,
    `UnsafePath`, `SymbolicLink`, `AmbiguousPicture`, `ListedTwice` (errors), `PictureAbsent`, `PictureNotListed`,
    `AnnotationWithoutPicture`, `ClassTwice` (warnings), `FileNotRead` (info).
    """
    try:
        row = None if kind == "memory" else recognise(_keys(root), kind, name)
    except BadDataError as error:
        return Loaded(Layout((), (_error("UnknownFormat", error),)))
    if row is None or row is YOLO:
        return Loaded(scan(root, name, kind))
    listing = pictures_below(root, name)
    wanted = {*wanted_keys(listing.files, kind, name)}
    pictures = Pictures(
        root, name, {key: path for key, path in listing.files.items() if key in wanted}, listing.findings
    )
    if row is YOLO_TREE or row is DARKNET:
        layout = _layout(pictures, kind, row.name, tree_entries(row, pictures), [], ".txt")
        return Loaded(layout, row=row)
    reading = _read(row, pictures)
    if reading is None:  # loose JSON files that are something else, beside pictures in images/
        return Loaded(scan(root, name, kind))
    entries: list[_Labelled] = [(entry.key, entry.split, entry.marks) for entry in reading.entries]
    if not any(finding.code == "BadAnnotations" for finding in reading.findings):
        pictures.tell_unused(f"no entry of the {reading.format} annotations is about this picture")
    layout = _layout(pictures, kind, reading.format, entries, reading.findings, reading.label_suffix)
    return Loaded(layout, tuple(reading.names))


def delivered(root: Path) -> tuple[int, tuple[str, ...]]:
    """How many pictures a round would be given of a delivery on disk, and its class names; (0, ()) without a picture.

    Raises:
        BadDataError: it is in no format or in two, its annotations can't be used, or its class names can't.
    """
    if not wanted_keys(_keys(root), "increment", root.name):
        return 0, ()
    loaded = load(root, root.name, "increment")
    images = sum(len(folder.images) for folder in loaded.layout.folders)
    refused = next((item for item in loaded.layout.findings if item.code in ("BadAnnotations", "UnknownFormat")), None)
    if refused is not None:
        raise BadDataError(refused.where, refused.found, refused.mend)
    return images, loaded.class_names(root, root.name) if images else ()


def _read(row: Format, pictures: Pictures) -> Reading | None:
    if row is VOC:
        return read_voc([key for key in pictures.files if VOC.marks(PurePosixPath(key))], pictures)
    if row is CVAT:
        return read_cvat(pictures)
    return _read_json(pictures)


def _read_json(pictures: Pictures) -> Reading | None:
    keys = [PurePosixPath(key) for key in pictures.files]
    marked = [key.as_posix() for key in keys if JSON.marks(key)]
    chosen = marked or [key.as_posix() for key in keys if JSON.suggests(key)]
    documents, findings = {}, list[Finding]()
    for key in sorted(chosen):
        try:
            documents[key] = read_json(pictures.files[key], f"{pictures.name}/{key}")
        except BadDataError as error:
            findings.append(_error("BadAnnotations", error))
    coco = {key: found for key, found in documents.items() if is_coco(found)}
    tasks = {key: found for key, found in documents.items() if is_label_studio(found)}
    if coco and tasks:
        found = f"two formats at once: COCO ({min(coco)}) and Label Studio ({min(tasks)})"
        findings.append(_error("UnknownFormat", BadDataError(pictures.name, found, f"Keep one. {ACCEPTED}.")))
        return Reading("JSON", findings=findings)
    if not coco and not tasks and not marked and not findings and any(YOLO.holds(key) for key in keys):
        return None
    reading = read_coco(coco, pictures) if coco else read_label_studio(tasks, pictures) if tasks else Reading("JSON")
    reading.findings[:0] = findings
    for key in sorted(documents.keys() - coco.keys() - tasks.keys()):
        strange = BadDataError(f"{pictures.name}/{key}", "is neither COCO nor Label Studio JSON", f"{ACCEPTED}.")
        reading.findings.append(_error("BadAnnotations", strange))
    return reading


def _layout(
    pictures: Pictures, kind: Kind, label: str, labelled: Sequence[_Labelled], findings: Iterable[Finding], suffix: str
) -> Layout:
    told = [*findings, *pictures.findings]
    told += _listed_twice(pictures, [key for key, _, _ in labelled])
    groups: dict[SplitWord, dict[str, Path | Marks | None]] = {"train": {}, "val": {}}
    for key, split, source in labelled:
        if kind == "holdout" or split != "test":
            groups["val" if kind == "holdout" else split].setdefault(key, source)
    folders = [_folder(pictures, "train", groups["train"], suffix), _folder(pictures, "val", groups["val"], suffix)]
    told += empty_findings(pictures.name, kind, folders)
    found = f"read as {label}: {len(labelled)} pictures listed"
    told.append(Finding(severity="info", code="Recognised", where=pictures.name, found=found, mend="None needed."))
    return Layout(tuple(folder for folder in folders if folder.images), tuple(told))


def _folder(pictures: Pictures, split: SplitWord, group: dict[str, Path | Marks | None], suffix: str) -> Folder:
    names = _sample_names(sorted(group))
    files = {key: pictures.files[key] for key in sorted(group)}
    return Folder(
        name=split,
        split="train" if split == "train" else "val",
        images=tuple(files.values()),
        labels={names[key]: source for key, source in group.items() if source is not None},
        names={files[key]: names[key] for key in files},
        root=pictures.root,
        label_place=f"the annotations of {{}} ({suffix[1:]})",
    )


def _sample_names(keys: Sequence[str]) -> dict[str, str]:
    """A name for each picture: its stem where no other has it, else with its folders before, else with a number too."""
    stems = Counter(PurePosixPath(key).stem.casefold() for key in keys)
    taken: set[str] = set()
    names: dict[str, str] = {}
    for key in keys:
        path = PurePosixPath(key)
        name = path.stem if stems[path.stem.casefold()] == 1 else "-".join(path.with_suffix("").parts)
        chosen, number = name, 2
        while chosen.casefold() in taken or (chosen != path.stem and chosen.casefold() in stems):
            chosen, number = f"{name}-{number}", number + 1
        taken.add(chosen.casefold())
        names[key] = chosen
    return names


def _listed_twice(pictures: Pictures, keys: Sequence[str]) -> list[Finding]:
    mend = "Keep the entry that is right."
    return [
        _error("ListedTwice", BadDataError(f"{pictures.name}/{key}", f"listed {count} times in the annotations", mend))
        for key, count in sorted(Counter(keys).items())
        if count > 1
    ]


def _keys(root: Path) -> list[str]:
    return [(Path(folder) / file).relative_to(root).as_posix() for folder, _, files in os.walk(root) for file in files]


def _error(code: str, error: BadDataError) -> Finding:
    return Finding(severity="error", code=code, where=error.where, found=error.found, mend=error.mend)
