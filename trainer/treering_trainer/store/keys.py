"""What a key may look like, so that every key is a file's path below a folder and can't be one anywhere else.

Called by `store/base.py` before any hook, and for every key a listing brings.
"""

from __future__ import annotations

from treering_api.errors import BadSpecError, StoreError
from treering_trainer.store.local import TEMPORARY_PREFIX

LOCK_NAME = ".treering-lock"
_LONGEST_KEY_BYTES = 1024
_LONGEST_NAME_BYTES = 255
_MEND = "Keys are names joined by single '/', without '.' or '..', at most 1024 bytes long."


def check_key(key: str, uri: str) -> None:
    """Refuses what can't be an object's key.

    Raises:
        BadSpecError: empty, absolute, with empty, `.` or `..` parts, with control characters, too long, or reserved.
    """
    fault = _fault(key)
    if fault:
        raise BadSpecError(uri, f"{key!r} can't be a key: {fault}", _MEND)


def check_prefix(prefix: str, uri: str) -> None:
    """Refuses what no key can start with; the last part may be incomplete, the whole may be empty.

    Raises:
        BadSpecError: see `check_key`.
    """
    if prefix:
        check_key(prefix.removesuffix("/"), uri)


def check_found(key: str, uri: str) -> None:
    """Refuses a listed object that can't be a file: leaving it out would train on less than there is, unnoticed.

    Raises:
        StoreError: see `check_key`.
    """
    fault = _fault(key)
    if fault:
        raise StoreError(uri, f"holds an object {key!r} that can't be a file: {fault}", "Rename or remove the object.")


def is_ours(name: str) -> bool:
    """Whether a file's name is one that a folder store keeps for itself."""
    return name == LOCK_NAME or name.startswith(TEMPORARY_PREFIX)


def _fault(key: str) -> str | None:
    if not key:
        return "it is empty"
    if len(key.encode("utf-8", "replace")) > _LONGEST_KEY_BYTES:
        return f"it is longer than {_LONGEST_KEY_BYTES} bytes"
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 or character == "\x7f" for character in key):
        return "it has control characters"
    return next((fault for fault in map(_name_fault, key.split("/")) if fault), None)


def _name_fault(name: str) -> str | None:
    if name in ("", ".", ".."):
        return f"it has a part {name!r}"
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        return f"one of its parts is longer than {_LONGEST_NAME_BYTES} bytes"
    return "the name is reserved" if is_ours(name) else None
