"""A line's work folder: whose it is, when a round in it began, what in it nobody needs any more.

    data/<kind>/<name>/      pulled deliveries and hold-outs
    bank/                    remembered and validation images, named by content
    models/                  base weights and the published model
    rounds/0002-<digest>/    one round at work: records, checkpoint, candidate, what will be published

Called by `run`; everything in here can be thrown away, and costs time only.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from treering_api import BadSpecError, Lineage, ResumableError
from treering_trainer.line import now
from treering_trainer.store import write_atomic

_NUMBERED = re.compile(r"(\d{4,})-[0-9a-f]{12}")
_locks: set[int] = set()


@contextmanager
def own_folder(folder: Path, owner: str) -> Iterator[Path]:
    """The line's work folder, for this process alone.

    Args:
        owner: the line and its store; a folder is never shared by two lines.

    Raises:
        ResumableError: it can't be made, or another process works in it.
        BadSpecError: it is another line's.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise ResumableError(
            str(folder), f"the work folder can't be used: {error.strerror}", "Give another one with --workdir"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResumableError(
                str(folder),
                "another process works in this folder",
                "Wait for it, stop it, or give this run a folder of its own with --workdir",
            ) from error
        _locks.add(file.fileno())
        try:
            _claim(folder / ".line", owner)
            yield folder
        finally:
            _locks.discard(file.fileno())


def _claim(marker: Path, owner: str) -> None:
    if not marker.exists():
        write_atomic(marker, owner.encode())
    found = marker.read_text()
    if found != owner:
        raise BadSpecError(
            str(marker.parent),
            f"the work folder is that of the line {found}, not of {owner}",
            "Give this line a folder of its own with --workdir, or remove this one: all in it can be made again",
        )


def _leave_locks() -> None:
    """A loader's process inherits the lock, and would keep it for seconds after this process was killed."""
    for descriptor in _locks:
        with suppress(OSError):
            os.close(descriptor)


os.register_at_fork(after_in_child=_leave_locks)


def start_time(round_folder: Path) -> str:
    """When the first try at the round in this folder began, RFC 3339."""
    marker = round_folder / "started"
    if not marker.exists():
        write_atomic(marker, now().encode())
    return marker.read_text()


def ended_rounds(folder: Path, lineage: Lineage) -> list[Path]:
    """Folders of rounds that have ended: their processes were killed before they could tidy up."""
    return [path for number, path in _numbered(folder / "rounds") if number <= lineage.round]


def sweep(folder: Path, lineage: Lineage) -> None:
    """Remove the folders of rounds that have ended, and of models that are not the line's any more."""
    current = "" if lineage.current is None else lineage.current.digest[:12]
    stale = [path for _, path in _numbered(folder / "models") if not path.name.endswith(f"-{current}")]
    for path in (*ended_rounds(folder, lineage), *stale):
        shutil.rmtree(path, ignore_errors=True)


def _numbered(parent: Path) -> list[tuple[int, Path]]:
    found = sorted(parent.iterdir()) if parent.is_dir() else []
    return [(int(match[1]), path) for path in found if (match := _NUMBERED.fullmatch(path.name))]
