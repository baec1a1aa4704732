"""Local files that appear whole or not at all.

Used by the stores (to fetch into and to write to folders) and by whoever else writes files that a crash must not leave
half done. A file is written under a hidden name in its own folder, synced and renamed; a failure leaves no trace of it.
A full disk is an `ResumableError` that says so; a folder that may not be written to is a `BadSpecError`, because
running again would not mend it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from treering_api.errors import BadSpecError, ResumableError, TreeringError

TEMPORARY_PREFIX = ".treering-tmp-"
CHUNK_BYTES = 1024 * 1024
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = {errno.ENOSPC: "disk full", errno.EDQUOT: "disk quota used up", errno.EFBIG: "disk full (file size limit)"}


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a whole file, creating its folder; readers see the old content or the new, never a part.

    Raises:
        ResumableError: the disk is full or broken.
        BadSpecError: the folder can't be written to.
    """
    with staged(path) as staging:
        staging.write(data)
        staging.publish()


def disk_failure(path: Path, error: OSError) -> TreeringError:
    """The error to raise where the local disk refused, with what it refused in words."""
    found = _FULL.get(error.errno or 0)
    if found is not None:
        mend = "Free some space or give the folder a larger volume, then run again."
        return ResumableError(str(path), found, mend)
    kind = BadSpecError if error.errno in (*FORBIDDEN, errno.ENOTDIR, errno.EISDIR) else ResumableError
    return kind(str(path), f"can't be written: {error.strerror}", "Choose a folder that can be.")


@contextmanager
def staged(path: Path) -> Iterator[Staging]:
    """A file in the making beside `path`; it takes the name by `publish()`, and vanishes if that never comes."""
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = temporary.open("xb")
    except OSError as error:
        raise disk_failure(path, error) from error
    try:
        yield Staging(path, temporary, file)
    finally:
        with suppress(OSError):  # a second ENOSPC of the buffered rest; the first one is on its way
            file.close()
        temporary.unlink(missing_ok=True)


class Staging:
    """A file in the making: what is written is counted and hashed on the way."""

    def __init__(self, path: Path, temporary: Path, file: BinaryIO) -> None:
        self._path, self._temporary, self._file = path, temporary, file
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Of everything written since the start or the last `restart()`, in hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            raise disk_failure(self._path, error) from error
        self._hash.update(data)
        self.size_bytes += len(data)

    def restart(self) -> None:
        """Forgets what was written: the source broke off and is read again."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise disk_failure(self._path, error) from error
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def publish(self, *, durable: bool = True, exclusive: bool = False) -> os.stat_result:
        """Gives the file its name, and returns its stat.

        Args:
            durable: also survive a power cut; costs two syncs.
            exclusive: only if there is no such file yet.

        Raises:
            FileExistsError: exclusive, and there is one.
            ResumableError, BadSpecError: the disk refused; see `write_atomic`.
        """
        try:
            stat = self._finish(durable)
            if exclusive:
                os.link(self._temporary, self._path)
            else:
                self._temporary.replace(self._path)
            if durable:
                _sync_folder(self._path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise disk_failure(self._path, error) from error
        return stat

    def _finish(self, durable: bool) -> os.stat_result:
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        # the kernel's own stamp moves in ticks of milliseconds: too coarse to tell two writes apart
        os.utime(self._file.fileno(), ns=(time.time_ns(), time.time_ns()))
        return os.fstat(self._file.fileno())


def sha256_of(path: Path) -> str:
    """Of a whole file, in hex; reads it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
