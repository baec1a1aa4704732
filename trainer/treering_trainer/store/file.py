"""A store in a folder: `file:///absolute/path`. For laptops, tests and shared volumes.

Made by `open_store`. Objects are files that appear whole: written beside, synced, renamed. Creating is a hard link,
which only one of many writers gets; replacing and comparing happen under a lock (`.treering-lock` in the object's own
folder), which holds between processes, and between machines where the file system passes locks on (NFS 4 does).
A tag is made of the file's time stamp in nanoseconds, size and inode, so that a listing need not read every image.
Nothing outside the folder is ever read or written, symbolic links included.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from treering_api.errors import StoreError, TreeringError
from treering_trainer.store import keys, local
from treering_trainer.store.base import Body, Capabilities, ObjectInfo, Store, conflict, not_found
from treering_trainer.store.errors import AccessDeniedError, NoStoreError

_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FileStore(Store):
    """Objects as files below one folder, which the first put makes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.as_uri())
        self._folder = folder.resolve()
        self.remember(Capabilities(conditional_create=True, conditional_replace=True))

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._expect_root()
        below = prefix.rpartition("/")[0]
        self._inside(below)
        for path in _walk(self._folder / below, self.uri):
            key = path.relative_to(self._folder).as_posix()
            if key.startswith(prefix) and (path.exists() or path.is_symlink()):  # else removed since the walk
                with self._explained(key):
                    yield _info(key, self._inside(key).stat())

    def _folders(self, prefix: str) -> Iterator[str]:
        self._expect_root()
        parent = self._inside(prefix.rstrip("/"))
        with self._explained(prefix):
            names = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
        return (f"{prefix}{name}/" for name in names)

    def _stat(self, key: str) -> ObjectInfo:
        with self._explained(key), self._inside(key).open("rb") as file:
            return _info(key, os.fstat(file.fileno()))

    def _get(self, key: str) -> tuple[bytes, str]:
        with self._explained(key), self._inside(key).open("rb") as file:
            return file.read(), _etag(os.fstat(file.fileno()))

    def _download(self, key: str, staging: local.Staging) -> None:
        with self._explained(key):
            _copy(self._inside(key), staging)

    def _write(self, key: str, body: Body, *, create: bool, if_match: str | None) -> str:
        path = self._inside(key)
        self._expect_no_folder(key, path)
        with self._explained(key), self._writable(key), local.staged(path) as staging:
            if isinstance(body, bytes):
                staging.write(body)
            else:
                _copy(body, staging)
            return _etag(self._create(key, staging) if create else self._replace(key, staging, if_match))

    def _delete(self, key: str) -> None:
        path = self._inside(key)
        if path.is_file():
            with self._explained(key), _locked(path.parent):
                path.unlink(missing_ok=True)

    def _create(self, key: str, staging: local.Staging) -> os.stat_result:
        try:
            return staging.publish(exclusive=True)
        except FileExistsError as error:
            raise conflict(self._address(key), "exists already") from error
        except TreeringError as error:
            if _errno(error) not in _NO_HARD_LINKS:
                raise
        with _locked(self._inside(key).parent):  # a file system without hard links
            self._expect_none(key)
            return staging.publish()

    def _replace(self, key: str, staging: local.Staging, if_match: str | None) -> os.stat_result:
        with _locked(self._inside(key).parent):
            if if_match is not None:
                self._expect_tag(key, if_match)
            return staging.publish()

    def _inside(self, key: str) -> Path:
        """The file of a key, after every symbolic link on the way to it; the key itself is checked already."""
        mend = "Copy what the symbolic link points at into the folder."
        try:
            path = (self._folder / key).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            raise AccessDeniedError(self._address(key), f"can't be followed: {error}", mend) from error
        if not path.is_relative_to(self._folder):
            raise AccessDeniedError(self._address(key), "a symbolic link leads out of the store", mend)
        return path

    def _expect_root(self) -> None:
        if not self._folder.is_dir():
            raise NoStoreError(self.uri, "no such folder", "Check the path; it must be there where the trainer runs.")

    def _expect_no_folder(self, key: str, path: Path) -> None:
        mend = "In a folder store a name is either an object or a folder; choose another key."
        if path.is_dir():
            raise StoreError(self._address(key), "is a folder", mend)
        above = next((parent for parent in path.parents if parent.exists()), path)
        if not above.is_dir():
            raise StoreError(self._address(key), f"{above.name} on the way to it is an object", mend)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise not_found(self._address(key)) from error
        except PermissionError as error:
            mend = f"Give user {os.getuid()} the right to read and write there."
            raise AccessDeniedError(self._address(key), "permission denied", mend) from error
        except OSError as error:
            mend = "Check the disk or the volume."
            raise StoreError(self._address(key), f"{error.strerror} (errno {error.errno})", mend) from error

    @contextmanager
    def _writable(self, key: str) -> Iterator[None]:
        try:
            yield
        except TreeringError as error:
            if _errno(error) not in local.FORBIDDEN:
                raise
            mend = f"Give user {os.getuid()} the right to write there."
            raise AccessDeniedError(self._address(key), "can't be written: permission denied", mend) from error


def _errno(error: TreeringError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def _walk(start: Path, uri: str) -> Iterator[Path]:
    """Every file below a folder; a link to a folder stops it: following could loop, skipping could lose data."""
    for folder, folders, names in os.walk(start, onerror=_raise):
        linked = next((name for name in folders if (Path(folder) / name).is_symlink()), None)
        if linked is not None:
            mend = "Put the folder itself there, or name it by its own URI."
            raise AccessDeniedError(uri, f"{Path(folder) / linked} is a symbolic link to a folder", mend)
        yield from (Path(folder) / name for name in names if not keys.is_ours(name))


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise AccessDeniedError(str(error.filename), str(error.strerror), "Give the trainer's user the right to read.")


def _copy(source: Path, staging: local.Staging) -> None:
    with source.open("rb") as file:
        while chunk := file.read(local.CHUNK_BYTES):
            staging.write(chunk)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # flock, not lockf: it also keeps the threads of one process apart; a real file, because NFS wants it writable
    with (folder / keys.LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, stat.st_size, _etag(stat))


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"
