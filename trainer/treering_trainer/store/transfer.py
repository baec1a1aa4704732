"""Many objects at once, in parallel: a data set to the work folder, a publication to the store.

Called by the fetch and publish stages. An object that is already there (same URI and tag in the store, same size and
time stamp on disk since it was fetched) is not fetched again: an index beside the files remembers. The first error
stops everything and names its object; what was fetched by then stays, and the index knows it.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from treering_trainer.store.base import ObjectInfo, Store, not_found
from treering_trainer.store.pull_index import PullIndex

Item = TypeVar("Item")
Result = TypeVar("Result")
INDEX_NAME = ".treering-pull.json"
_FEW = 16
"""Up to so many objects are asked about one by one; more are listed, a thousand to a request."""


@dataclass(frozen=True)
class Transferred:
    """One object that is where it should be now."""

    key: str
    size_bytes: int
    from_cache: bool


Observer = Callable[[Transferred], None]


@dataclass(frozen=True)
class Pulled:
    """What a pull did; `size_bytes` counts only what came over the wire."""

    objects: int
    size_bytes: int
    from_cache: int


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    objects: int
    size_bytes: int


def pull(
    store: Store,
    wanted: Mapping[str, Path],
    *,
    workers: int = 16,
    listing: Iterable[ObjectInfo] | None = None,
    index: Path | None = None,
    on_object: Observer | None = None,
) -> Pulled:
    """Brings objects to local files.

    Args:
        store: where they are.
        wanted: the file for each key; folders are made.
        workers: how many at a time.
        listing: what `store.list()` said, if the caller has just asked anyway.
        index: the file that remembers; `.treering-pull.json` in the deepest folder above all files if not given.
        on_object: called in this thread after each object.

    Raises:
        NotFoundError: the store has no such object.
        IntegrityError: an object came with another size than the store says it has.
        StoreError, ResumableError: as `Store.get_file`.
    """
    if not wanted:
        return Pulled(0, 0, 0)
    found = _look_up(store, wanted, listing)
    memory = PullIndex.load(index or _index_path(wanted.values()))

    def fetch(info: ObjectInfo) -> Transferred:
        path, uri = wanted[info.key], store.where(info.key)
        if memory.holds(uri, info, path):
            return Transferred(info.key, info.size_bytes, from_cache=True)
        store.get_file(info.key, path, size_bytes=info.size_bytes, durable=False)
        memory.note(uri, info, path)
        return Transferred(info.key, info.size_bytes, from_cache=False)

    try:
        done = [_tell(one, on_object) for one in _in_parallel(fetch, found, workers)]
    finally:
        memory.save()
    fetched = sum(one.size_bytes for one in done if not one.from_cache)
    return Pulled(len(done), fetched, sum(one.from_cache for one in done))


def push(
    store: Store,
    files: Mapping[str, Path],
    *,
    create: bool = False,
    workers: int = 8,
    on_object: Observer | None = None,
) -> Pushed:
    """Brings local files to the store; `create` as in `Store.put`. The manifest is the caller's to write, after this.

    Raises:
        ConflictError: create, and an object was there.
        StoreError: as `Store.put_file`.
    """

    def send(key: str) -> Transferred:
        store.put_file(key, files[key], create=create)
        return Transferred(key, files[key].stat().st_size, from_cache=False)

    done = [_tell(one, on_object) for one in _in_parallel(send, files, workers)]
    return Pushed(len(done), sum(one.size_bytes for one in done))


def _tell(one: Transferred, on_object: Observer | None) -> Transferred:
    if on_object:
        on_object(one)
    return one


def _look_up(store: Store, wanted: Mapping[str, Path], listing: Iterable[ObjectInfo] | None) -> list[ObjectInfo]:
    if listing is None and len(wanted) <= _FEW:
        return [store.stat(key) for key in wanted]
    if listing is None:
        listing = store.list(_common_folder(wanted))
    found = {info.key: info for info in listing if info.key in wanted}
    missing = next((key for key in wanted if key not in found), None)
    if missing is not None:
        raise not_found(store.where(missing))
    return [found[key] for key in wanted]


def _common_folder(wanted: Iterable[str]) -> str:
    folder, slash, _ = os.path.commonprefix(list(wanted)).rpartition("/")  # noqa: RUF071 - keys, not paths
    return folder + slash


def _index_path(paths: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.absolute().parent for path in paths])) / INDEX_NAME


def _in_parallel(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Results as they come; the first error ends it, after what is under way at that moment."""
    finished: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
    waiting, under_way = iter(items), 0
    with ThreadPoolExecutor(workers, thread_name_prefix="transfer") as pool:
        try:
            while True:
                while under_way < 2 * workers and (item := next(waiting, None)) is not None:
                    pool.submit(work, item).add_done_callback(finished.put)
                    under_way += 1
                if not under_way:
                    return
                result = finished.get().result()
                under_way -= 1
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
