"""Reading a data set: every file checked before any training, and what can't be learned from kept out, by name.

`verify` calls it for each increment, hold-out and memory; `treering validate --data` too. Nothing is raised for bad
data: it all becomes findings, and `threshold.enforce` decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from treering_api import Verification
from treering_api.errors import BadDataError
from treering_trainer.dataset.formats import Loaded, load
from treering_trainer.dataset.images import Picture, read_picture
from treering_trainer.dataset.labels import Fault, Labels, Limits, read_labels
from treering_trainer.dataset.layout import Folder
from treering_trainer.dataset.marks import marked_boxes
from treering_trainer.dataset.names import has_names, pose_columns, renamed
from treering_trainer.dataset.samples import Boxes, Checked, Kind, Sample, no_boxes
from treering_trainer.dataset.tally import Tally
from treering_trainer.records import Finding

OnImage = Callable[[int, int], None]
"""Told after each picture: how many are done, of how many."""

_NO_RENAME: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class _Classes:
    """`union` is the data set's class list; `table` holds, for each index in the delivery, the index in it."""

    union: tuple[str, ...]
    table: Boxes


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What came of one picture: no sample means that it is quarantined."""

    sample: Sample | None
    findings: tuple[Finding, ...]
    changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Job:
    """One picture to read."""

    name: str
    folder: Folder
    image: Path
    classes: _Classes
    settings: Verification
    needs_label: bool = True
    pose_columns: int = 0
    teachable: bool = False

    def finding(self, severity: Literal["quarantine", "warning", "info"], fault: Fault, file: Path) -> Finding:
        """A finding about this picture or its label file, by line where there is one."""
        line = f":{fault.line}" if fault.line else ""
        where = self.folder.address(self.name, file) + line
        return Finding(severity=severity, code=fault.code, where=where, found=fault.found, mend=fault.mend)


def read_dataset(
    root: Path,
    name: str,
    kind: Kind,
    settings: Verification,
    rename: Mapping[str, str] = _NO_RENAME,
    *,
    workers: int = 0,
    on_image: OnImage | None = None,
    known: tuple[str, ...] = (),
    needs_label: bool = True,
) -> Checked:
    """Read and check the data set in folder `root`.

    Without pictures or usable class names nothing is opened: that error stands alone, beside those of the layout.

    Args:
        root: folder in one of the accepted formats (see `formats`).
        name: its name in the spec; the first part of every finding's address.
        kind: in a hold-out, every split counts as val.
        settings: what is tolerated.
        rename: class name in the delivery → class name in the line; two may become one.
        workers: threads, 0 for one more than there are processors.
        on_image: called in this thread after each picture with (done, total).
        known: classes that a model knows already: a data set without class names has these, and that model can label
            train pictures where the settings say that they come unlabelled.
        needs_label: whether a train picture has to have a label file, or the settings' leave to have none.

    Returns:
        The samples that can be used, counts for both splits, and the findings, worst first and bounded in number.
    """
    loaded = load(root, name, kind)
    tally = Tally(name, kind, loaded.layout.findings)
    if not loaded.layout.folders and kind != "memory":
        return tally.checked(())  # most likely a wrong URI: that the names are missing too would only distract
    try:
        found = _names(loaded, root, name, settings, known, needs_label)
        classes = _classes(renamed(found, rename, name, kind))
    except BadDataError as error:
        tally.refuse("BadClassNames", error)
        return tally.checked(())
    jobs = _jobs(
        loaded, name, classes, settings, needs_label=needs_label, teachable=bool(known), pose=pose_columns(root)
    )
    for done, (job, outcome) in enumerate(_outcomes(jobs, workers), start=1):
        tally.take(job.folder.split, job.folder.address(name, job.image), outcome.sample, outcome.findings)
        tally.count_changes(outcome.changes)
        if on_image is not None:
            on_image(done, len(jobs))
    return tally.checked(classes.union)


def _names(
    loaded: Loaded, root: Path, name: str, settings: Verification, known: tuple[str, ...], needs_label: bool
) -> tuple[str, ...]:
    """Class names of a data set; the known ones where it has none and needs none."""
    without = not needs_label or settings.missing_labels == "unlabelled"
    unlabelled = not needs_label or not any(folder.labels for folder in loaded.layout.folders)
    if known and without and unlabelled and not (loaded.brings_names or has_names(root)):
        return known
    return loaded.class_names(root, name)


def _classes(line_names: tuple[str, ...]) -> _Classes:
    union = tuple(dict.fromkeys(line_names))
    return _Classes(union, np.array([union.index(name) for name in line_names], dtype=np.float64))


def _jobs(
    loaded: Loaded,
    name: str,
    classes: _Classes,
    settings: Verification,
    *,
    needs_label: bool,
    teachable: bool,
    pose: int,
) -> list[_Job]:
    return [
        _Job(name, folder, image, classes, settings, needs_label, pose, teachable)
        for folder in loaded.layout.folders
        for image in folder.images
    ]


def _outcomes(jobs: list[_Job], workers: int) -> Iterator[tuple[_Job, _Outcome]]:
    """In the order of the jobs, whatever thread was first; reading, hashing and decoding release the lock."""
    pool = ThreadPoolExecutor(workers or (os.cpu_count() or 1) + 1, thread_name_prefix="read")
    try:
        yield from zip(jobs, pool.map(_read, jobs), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _read(job: _Job) -> _Outcome:
    picture = read_picture(job.image)
    if isinstance(picture, Fault):
        return _Outcome(None, (job.finding("quarantine", picture, job.image),))
    remarks = _suffix_remark(job, picture)
    source = job.folder.labels.get(job.folder.name_of(job.image))
    if source is None:
        return _unlabelled(job, picture, remarks)
    path = source if isinstance(source, Path) else job.image
    limits = _limits(job, picture)
    labels = read_labels(source, limits) if isinstance(source, Path) else marked_boxes(source, limits)
    if labels.fault is not None:
        return _Outcome(None, (*remarks, job.finding("quarantine", labels.fault, path)))
    findings = (*remarks, *_duplicate_remark(job, labels, path))
    return _Outcome(_sample(job, picture, labels.boxes), findings, labels.changes)


def _limits(job: _Job, picture: Picture) -> Limits:
    classes = len(job.classes.table)
    return Limits(classes, picture.width, picture.height, job.settings.min_box_px, job.pose_columns)


def _sample(job: _Job, picture: Picture, boxes: Boxes) -> Sample:
    boxes[:, 0] = job.classes.table[boxes[:, 0].astype(np.int64)]
    size = (picture.width, picture.height)
    return Sample(job.folder.name_of(job.image), job.image, boxes, *size, picture.sha256, picture.phash)


def _unlabelled(job: _Job, picture: Picture, remarks: tuple[Finding, ...]) -> _Outcome:
    """An empty label file says that nothing is there; a missing one says nothing, unless the settings say otherwise."""
    if not job.needs_label and job.folder.split == "train":
        return _Outcome(_sample(job, picture, no_boxes()), remarks)
    if job.settings.missing_labels == "background":
        fault = Fault("TakenAsBackground", "no label file", "None needed: spec.verification.missingLabels says so.")
        remark = job.finding("info", fault, job.image)
        return _Outcome(_sample(job, picture, no_boxes()), (*remarks, remark))
    if job.settings.missing_labels == "unlabelled" and job.teachable and job.folder.split == "train":
        fault = Fault("Unlabelled", "no label file", "None needed: models label it, as spec.verification allows.")
        sample = replace(_sample(job, picture, no_boxes()), labelled=False)
        return _Outcome(sample, (*remarks, job.finding("info", fault, job.image)))
    mend = (
        f"Deliver {job.folder.label_place.format(job.image.stem)}, empty if nothing is to be seen, or set "
        "spec.verification.missingLabels: background."
    )
    fault = Fault("MissingLabel", "image without a label file", mend)
    return _Outcome(None, (*remarks, job.finding("quarantine", fault, job.image)))


def _suffix_remark(job: _Job, picture: Picture) -> tuple[Finding, ...]:
    if not picture.wrong_suffix:
        return ()
    found = f"holds {picture.wrong_suffix}, not what its suffix {job.image.suffix} says; it is read as what it is"
    fault = Fault("WrongSuffix", found, "Rename it, so that other programs read it too.")
    return (job.finding("warning", fault, job.image),)


def _duplicate_remark(job: _Job, labels: Labels, path: Path) -> tuple[Finding, ...]:
    if not labels.duplicates:
        return ()
    fault = Fault("DuplicateRows", f"{labels.duplicates} rows stand there twice", "None needed: they were dropped.")
    return (job.finding("info", fault, path),)
