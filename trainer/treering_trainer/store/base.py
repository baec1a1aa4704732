"""The interface of every store: objects under keys, below one root.

Called by the stages through `open_store`; implemented by `file.py` and `s3.py`. The public methods guard (keys, sizes,
digests, conditions), the hooks below them do the work. The same calls mean the same in every store:

- Keys are relative to the root, use `/`, and can't leave it. Objects of zero bytes are objects.
- `put(create=True)` and `put(if_match=...)` write only if the condition holds. Where a server ignores conditions they
  still look first, which leaves a race between the look and the write: `capabilities` says whether that is so.
- Methods raise the errors of `store/errors.py`, with the object's full URI. Transient faults were retried before.
- A store may be used from many threads.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from treering_api.errors import BadSpecError, ResumableError
from treering_trainer.store import keys, local
from treering_trainer.store.errors import ConflictError, IntegrityError, NotFoundError

Body = bytes | Path
"""What is put: the bytes themselves or a local file with them."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object: its key, relative to the store that was asked, its size, and a tag that changes with its content."""

    key: str
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class Capabilities:
    """Which conditions the server itself keeps, as `probe` measured it."""

    conditional_create: bool
    conditional_replace: bool


@dataclass
class _Measured:
    """What a store and everything made from it by `at` know together."""

    capabilities: Capabilities | None = None


class Store(ABC):
    """A place for objects. Make one with `open_store`."""

    def __init__(self, root: str, prefix: str = "") -> None:
        self._root = root
        self._prefix = prefix
        self._measured = _Measured()

    @property
    def uri(self) -> str:
        """The root, without a trailing slash."""
        return f"{self._root}/{self._prefix}" if self._prefix else self._root

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server's conditions are worth; None = not measured yet (see `probe`)."""
        return self._measured.capabilities

    def remember(self, capabilities: Capabilities) -> None:
        """Lets conditional puts rely on what was measured, here and in every store of the same tree."""
        self._measured.capabilities = capabilities

    def at(self, prefix: str) -> Self:
        """The store whose root is `prefix` in this one; nothing needs to be there yet."""
        below = copy.copy(self)
        below._prefix = self._full(prefix.rstrip("/"))
        return below

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, sorted by key. A folder marker (`key/`) is none."""
        return iter(sorted(self.stream(prefix), key=lambda info: info.key))

    def stream(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """What `list` gives, in no order, one by one: for more objects than one wants to hold."""
        keys.check_prefix(prefix, self.uri)
        start = f"{self._prefix}/" if self._prefix else ""
        for info in self._list(start + prefix):
            if not info.key.endswith("/"):
                key = info.key.removeprefix(start)
                keys.check_found(key, self.uri)
                yield ObjectInfo(key, info.size_bytes, info.etag)

    def folders(self) -> tuple[str, ...]:
        """Names of the folders right below the root, sorted; names that can't be part of a key are among them."""
        start = f"{self._prefix}/" if self._prefix else ""
        return tuple(sorted(folder.removeprefix(start).removesuffix("/") for folder in self._folders(start)))

    def stat(self, key: str) -> ObjectInfo:
        """Size and tag of one object. NotFoundError where there is none."""
        info = self._stat(self._full(key))
        return ObjectInfo(key, info.size_bytes, info.etag)

    def get(self, key: str) -> bytes:
        """The bytes of one object. NotFoundError where there is none."""
        return self.get_with_etag(key)[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str]:
        """Bytes and tag of one object, from one and the same version of it: the start of a compare-and-swap."""
        return self._get(self._full(key))

    def get_file(
        self, key: str, path: Path, *, sha256: str | None = None, size_bytes: int | None = None, durable: bool = True
    ) -> str:
        """Fetches one object into a file, which appears whole or not at all; returns its SHA-256 in hex.

        Args:
            key: the object.
            path: the file; its folder is made.
            sha256: the digest it must have.
            size_bytes: the size it must have.
            durable: also survive a power cut. Without it, fetching many small files is several times faster.

        Raises:
            IntegrityError: not the promised bytes, twice.
            ResumableError: the disk is full.
        """
        promised = (sha256, size_bytes)
        try:
            return self._fetch(key, path, promised, durable)
        except IntegrityError:
            return self._fetch(key, path, promised, durable)  # a bit that fell over on the way is right next time

    def put(self, key: str, data: bytes, *, create: bool = False, if_match: str | None = None) -> str:
        """Writes one object and returns its tag.

        Args:
            key: the object.
            data: its content.
            create: only if there is no such object yet.
            if_match: only if the object still has this tag.

        Raises:
            ConflictError: the condition did not hold; with `if_match` also if the object is gone.
        """
        return self._put(key, data, create=create, if_match=if_match)

    def put_file(self, key: str, path: Path, *, create: bool = False) -> str:
        """Writes one object from a file and returns its tag; `create` as in `put`."""
        if not path.is_file():
            raise ResumableError(str(path), "no such file to put into the store", "Was the work folder cleaned?")
        return self._put(key, path, create=create, if_match=None)

    def put_unguarded(self, key: str, data: bytes, *, create: bool = False, if_match: str | None = None) -> str:
        """`put` that leaves the condition to the server alone. For `probe`, which measures just that."""
        return self._write(self._full(key), data, create=create, if_match=if_match)

    def delete(self, key: str) -> None:
        """Removes one object; none there is fine."""
        self._delete(self._full(key))

    def where(self, key: str) -> str:
        """An object's full URI."""
        return f"{self.uri}/{key}"

    def _full(self, key: str) -> str:
        keys.check_key(key, self.uri)
        return f"{self._prefix}/{key}" if self._prefix else key

    def _address(self, full_key: str) -> str:
        """For the hooks' errors: the URI of a key that `_full` has made."""
        return f"{self._root}/{full_key}"

    def _fetch(self, key: str, path: Path, promised: tuple[str | None, int | None], durable: bool) -> str:
        sha256, size_bytes = promised
        with local.staged(path) as staging:
            self._download(self._full(key), staging)
            if size_bytes is not None and staging.size_bytes != size_bytes:
                raise damaged(self.where(key), f"{staging.size_bytes} bytes came, {size_bytes} were promised")
            if sha256 is not None and staging.sha256 != sha256:
                raise damaged(self.where(key), f"SHA-256 is {staging.sha256}, {sha256} was promised")
            staging.publish(durable=durable)
            return staging.sha256

    def _put(self, key: str, body: Body, *, create: bool, if_match: str | None) -> str:
        if create and if_match is not None:
            raise BadSpecError(self.where(key), "both create and if_match are asked for", "They exclude each other.")
        full, known = self._full(key), self.capabilities
        if create and not (known and known.conditional_create):
            self._expect_none(full)
        if if_match is not None and not (known and known.conditional_replace):
            self._expect_tag(full, if_match)
        return self._write(
            full,
            body,
            create=create and (known is None or known.conditional_create),
            if_match=if_match if known is None or known.conditional_replace else None,
        )

    def _expect_none(self, full_key: str) -> None:
        try:
            self._stat(full_key)
        except NotFoundError:
            return
        raise conflict(self._address(full_key), "exists already")

    def _expect_tag(self, full_key: str, etag: str) -> None:
        try:
            found = self._stat(full_key).etag
        except NotFoundError as error:
            raise conflict(self._address(full_key), "is gone") from error
        if found != etag:
            raise conflict(self._address(full_key), "was changed by someone else")

    @abstractmethod
    def _list(self, prefix: str) -> Iterable[ObjectInfo]: ...
    @abstractmethod
    def _folders(self, prefix: str) -> Iterable[str]: ...
    @abstractmethod
    def _stat(self, key: str) -> ObjectInfo: ...
    @abstractmethod
    def _get(self, key: str) -> tuple[bytes, str]: ...
    @abstractmethod
    def _download(self, key: str, staging: local.Staging) -> None: ...
    @abstractmethod
    def _write(self, key: str, body: Body, *, create: bool, if_match: str | None) -> str: ...
    @abstractmethod
    def _delete(self, key: str) -> None: ...


def conflict(where: str, found: str) -> ConflictError:
    """A condition that did not hold, in words."""
    return ConflictError(where, found, "Read it again and decide anew; nothing was written.")


def not_found(where: str) -> NotFoundError:
    """No such object."""
    return NotFoundError(where, "no such object", "Check the key; keys are case-sensitive.")


def damaged(where: str, found: str) -> IntegrityError:
    """Bytes that are not those that were promised."""
    return IntegrityError(where, found, "Fetch it again; if it stays so, the object in the store is damaged.")
