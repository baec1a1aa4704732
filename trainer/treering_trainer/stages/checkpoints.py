"""Checkpoints in the store: all that a round whose machine is lost needs to go on, bit for bit, on another one.

    checkpoints/0002/attempt-3/work/...     records and composed training data: what is trained on, brought once
    checkpoints/0002/attempt-3/00007.pt     the training after its 7th epoch
    checkpoints/0002/attempt-3/00007.json   manifest of both, written last, never replaced

Each try writes into a folder of its own, so that one that was given up can't overwrite one that lives. A manifest names
the work folder it was taken from: a round that learns otherwise does not go on from it. Whatever is damaged or missing
costs time, not truth: the training begins anew. Called by `run` and `safekeeping`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from treering_api import Lineage, StoreError
from treering_trainer.engine.checkpoint import glimpse
from treering_trainer.line import CHECKPOINTS, Line, checkpoint_folder
from treering_trainer.progress import Message, Observer
from treering_trainer.records import FileEntry
from treering_trainer.store import (
    IntegrityError,
    Manifest,
    NotFoundError,
    Store,
    describe_file,
    read_manifest,
    write_manifest,
)
from treering_trainer.yolo.loop import CHECKPOINT

TRAINING = f"train/{CHECKPOINT}"
"""The local checkpoint, in the round's work folder."""
KEPT = 2
"""Checkpoints of one try that stay: a reader may still be at the last but one."""
_RECORDS = tuple(f"records/{stage}.json" for stage in ("verify", "analyse", "prepare"))
_WORK = "work/"
_BACK = ".back"
_MANIFEST = re.compile(r"(?:.*/)?(\d+)/attempt-(\d+)/(\d+)\.json")
_ROUND = re.compile(r"(\d+)/.*")


@dataclass(frozen=True, order=True)
class Kept:
    """One checkpoint in the store, by its manifest; the later a try began, the more it counts."""

    attempt: int
    epochs: int

    @property
    def manifest(self) -> str:
        """Its key in the try's folder."""
        return f"{self.epochs:05d}.json"

    @property
    def training(self) -> str:
        """Key of the checkpoint itself."""
        return f"{self.epochs:05d}.pt"


def work_files(folder: Path) -> tuple[str, ...]:
    """What a training is made of, by name in the round's work folder; empty before all of it is there."""
    if not all((folder / name).is_file() for name in _RECORDS):
        return ()
    beside = (path.name for path in folder.iterdir() if path.suffix == ".json" or path.name == "started")
    merged = (path.relative_to(folder).as_posix() for path in (folder / "merged").glob("*"))
    return (*sorted(beside), *sorted(merged), *_RECORDS)


def bring(store: Store, folder: Path, training: Path, epochs: int, work: dict[str, FileEntry]) -> None:
    """Bring a checkpoint to a try's folder in the store.

    Args:
        folder: the round's work folder.
        training: the checkpoint; it may not change meanwhile.
        work: what it is trained on that is in the store already; filled the first time.
    """
    if not work:
        brought: dict[str, FileEntry] = {}
        for name in work_files(folder):
            store.put_file(_WORK + name, folder / name)
            brought[_WORK + name] = describe_file(folder / name)
        work.update(brought)  # all or none: a manifest that lacks a part would be believed
    kept = Kept(0, epochs)
    entry = describe_file(training)
    store.put_file(kept.training, training)
    manifest = Manifest(files={**work, kept.training: entry}, extra={"work": folder.name, "epochs": epochs})
    write_manifest(store, kept.manifest, manifest)


def bring_back(line: Line, folder: Path, round_number: int, observer: Observer) -> None:
    """Bring the last checkpoint of a round to its work folder, if there is one that is further than what lies there.

    Raises:
        StoreError: the store can't be read.
        ResumableError: the disk is full.
    """
    here = _epochs_here(folder)
    found = sorted(_find(line, round_number), reverse=True)
    for kept in found:
        store = line.store.at(checkpoint_folder(round_number, kept.attempt))
        try:
            manifest = read_manifest(store, kept.manifest)
            if manifest.extra.get("work") != folder.name:
                continue  # of a round that would have learned otherwise
            if kept.epochs <= here:
                return
            _fetch(store, manifest, folder)
        except (NotFoundError, IntegrityError) as error:
            observer(Message("warning", f"the checkpoint {store.where(kept.manifest)} can't be used: {error.found}"))
            continue
        _install(folder, kept)
        where = f"after epoch {kept.epochs}, from the checkpoint that attempt {kept.attempt} left"
        observer(Message("info", f"the training goes on {where} ({store.where(kept.training)})"))
        return
    if found and not here:
        observer(Message("warning", "no checkpoint of this round can be used: its training begins anew"))


def prune(line: Line, round_number: int, attempt: int) -> None:
    """Remove what a newer checkpoint of this try made superfluous: older ones of its own, and all of earlier tries."""
    present = sorted(_find(line, round_number))
    stale = [item for item in present if item.attempt < attempt]
    stale += [item for item in present if item.attempt == attempt][:-KEPT]
    for kept in stale:
        store = line.store.at(checkpoint_folder(round_number, kept.attempt))
        _delete(store, (kept.manifest, kept.training))
    for number in {item.attempt for item in stale if item.attempt < attempt}:
        store = line.store.at(checkpoint_folder(round_number, number))
        _delete(store, [info.key for info in store.stream()])


def remove_ended(line: Line, lineage: Lineage) -> None:
    """Remove the checkpoints of rounds that have ended."""
    store = line.store.at(CHECKPOINTS)
    with suppress(StoreError):
        names = [info.key for info in store.stream()]
        ended = [name for name in names if (match := _ROUND.fullmatch(name)) and int(match[1]) <= lineage.round]
        _delete(store, sorted(ended, key=lambda name: not _MANIFEST.fullmatch(name)))


def _find(line: Line, round_number: int) -> Iterable[Kept]:
    for info in line.store.stream(f"{CHECKPOINTS}/{round_number:04d}/"):
        if match := _MANIFEST.fullmatch(info.key):
            yield Kept(int(match[2]), int(match[3]))


def _epochs_here(folder: Path) -> int:
    seen = glimpse(folder / TRAINING) if work_files(folder) else None
    return seen.epochs if seen else 0


def _fetch(store: Store, manifest: Manifest, folder: Path) -> None:
    """Fetch all parts beside what lies in the work folder."""
    shutil.rmtree(folder / _BACK, ignore_errors=True)
    for key, entry in manifest.files.items():
        store.get_file(key, folder / _BACK / key, sha256=entry.sha256, size_bytes=entry.size_bytes, durable=False)


def _install(folder: Path, kept: Kept) -> None:
    """Put the parts in place, the records last: a try that dies here finds them missing, and fetches again."""
    shutil.rmtree(folder / "records", ignore_errors=True)
    back = folder / _BACK
    (folder / TRAINING).parent.mkdir(parents=True, exist_ok=True)
    (back / kept.training).replace(folder / TRAINING)
    parts = (path.relative_to(back / _WORK).as_posix() for path in (back / _WORK).rglob("*") if path.is_file())
    for name in sorted(parts, key=lambda name: name in _RECORDS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (back / _WORK / name).replace(folder / name)
    shutil.rmtree(back, ignore_errors=True)


def _delete(store: Store, names: Iterable[str]) -> None:
    for name in names:
        with suppress(StoreError):  # a bucket that lets nobody delete keeps some bytes more
            store.delete(name)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, under which it stays as it is when the first one is replaced."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
