"""What a store's conditions are worth, found out by trying them.

Called once per process before anything relies on a conditional put. Some S3 servers ignore conditions without a word;
then two rounds of one line could both publish, and only Kubernetes keeps them apart: the caller warns.
"""

from __future__ import annotations

import uuid
from contextlib import suppress

from treering_api.errors import StoreError
from treering_trainer.store.base import Capabilities, Store
from treering_trainer.store.errors import AccessDeniedError, ConflictError, NoStoreError, UnreachableError

_FATAL = (AccessDeniedError, NoStoreError, UnreachableError)


def probe(store: Store) -> Capabilities:
    """Tries both conditions on an object of its own (`.treering-probe-<uuid>`), removes it, and tells the store.

    Raises:
        StoreError: not reachable or not writable at all.
    """
    key = f".treering-probe-{uuid.uuid4().hex}"
    store.put_unguarded(key, b"first")
    try:
        stale = store.put_unguarded(key, b"second")
        store.put_unguarded(key, b"third")
        measured = Capabilities(
            conditional_create=_refuses(store, key, create=True) and _accepts_new(store, f"{key}-new"),
            conditional_replace=_refuses(store, key, if_match=stale) and _accepts_current(store, key),
        )
    finally:
        for name in (key, f"{key}-new"):
            with suppress(AccessDeniedError):  # a bucket that lets nobody delete keeps a few bytes more
                store.delete(name)
    store.remember(measured)
    return measured


def _refuses(store: Store, key: str, *, create: bool = False, if_match: str | None = None) -> bool:
    try:
        store.put_unguarded(key, b"must not be written", create=create, if_match=if_match)
    except ConflictError:
        return True
    except _FATAL:
        raise
    except StoreError:  # 501 and the like: a condition that can't be asked for is none
        return False
    return False


def _accepts_new(store: Store, key: str) -> bool:
    try:
        store.put_unguarded(key, b"new", create=True)
    except ConflictError:
        return False
    return True


def _accepts_current(store: Store, key: str) -> bool:
    try:
        store.put_unguarded(key, b"next", if_match=store.stat(key).etag)
    except ConflictError:
        return False
    return True
