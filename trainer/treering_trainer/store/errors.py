"""What a store can answer instead of doing what was asked: one class for each thing a caller does differently.

Raised by every store alike. Each error's `where` is the object's full URI, so a message names the key by itself. A URI
that can't be one is a `BadSpecError`, a full disk an `ResumableError`: neither is the store's doing.
"""

from __future__ import annotations

from treering_api.errors import StoreError


class NotFoundError(StoreError):
    """There is no object with this key. Never raised for a whole store that is missing: see `NoStoreError`."""


class NoStoreError(StoreError):
    """The bucket (or the folder to read from) does not exist, so that no answer about its objects means anything."""


class ConflictError(StoreError):
    """A condition did not hold: the object exists already, has changed, or is gone. Nothing was written."""


class AccessDeniedError(StoreError):
    """No credentials, wrong ones, or ones that may not do this."""


class UnreachableError(StoreError):
    """The store does not answer, or answers again and again that it can't now."""


class IntegrityError(StoreError):
    """The bytes are not those that were promised (size or SHA-256), also when fetched a second time."""
