"""The line as a decision sees it: its spec or what is wrong with it, and its last status as far as it can be read.

Nothing here raises: whatever stands in the API server, there is a line to decide about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from treering_api import RETRY_ANNOTATION, BadSpecError, Increment, Spec, Status, read
from treering_operator.decide.salvage import salvage

_RETRY_LENGTH = 64


@dataclass(frozen=True)
class Line:
    """One line.

    Args:
        retry: the annotation `treering.dev/retry`, short; None: there is none.
        increments: of the spec, as many from the first on as can be read.
        spec: what the user says; None where it can't be read.
        error: why it can't be used.
        status: the last one.
    """

    name: str
    uid: str
    generation: int
    deleting: bool
    retry: str | None
    increments: tuple[Increment, ...]
    spec: Spec | None
    error: BadSpecError | None
    status: Status

    @property
    def store(self) -> str:
        """The line's folder; the last one that was known, while the spec can't be read."""
        return self.spec.store.uri if self.spec is not None else self.status.mirror_store

    def has_left(self, store: str) -> bool:
        """Whether that is another folder than the line's; not where one of both is not known."""
        return bool(store and self.store) and store.rstrip("/") != self.store.rstrip("/")


def read_line(resource: Mapping[str, Any]) -> Line:
    """The line of a resource, whatever that contains."""
    metadata = _mapping(resource.get("metadata"))
    name, generation = metadata.get("name"), metadata.get("generation")
    spec, error = _read_spec(resource)
    return Line(
        name=name if isinstance(name, str) else "",
        uid=str(metadata.get("uid") or ""),
        generation=generation if type(generation) is int and 0 <= generation <= 1_000_000_000 else 0,
        deleting=bool(metadata.get("deletionTimestamp")),
        retry=_retry(_mapping(metadata.get("annotations")).get(RETRY_ANNOTATION)),
        increments=_increments(resource) if spec is None else spec.increments,
        spec=spec,
        error=error,
        status=salvage(Status, resource.get("status")) or Status(),
    )


def _read_spec(resource: Mapping[str, Any]) -> tuple[Spec | None, BadSpecError | None]:
    metadata = _mapping(resource.get("metadata"))
    bare = {key: value for key, value in resource.items() if key != "status"}
    try:
        return read(bare, str(metadata.get("name") or "the resource")).spec, None
    except BadSpecError as error:
        return None, error


def _increments(resource: Mapping[str, Any]) -> tuple[Increment, ...]:
    found: list[Increment] = []
    items = _mapping(resource.get("spec")).get("increments")
    for item in items if isinstance(items, list) else []:
        try:
            found.append(Increment.model_validate(item))
        except ValidationError:
            break
    return tuple(found)


def _retry(annotation: object) -> str | None:
    """Its value; a long one by its digest, since it goes into plans, holds and termination messages."""
    if not isinstance(annotation, str):
        return None
    if len(annotation.encode()) <= _RETRY_LENGTH:
        return annotation
    return "sha256:" + hashlib.sha256(annotation.encode()).hexdigest()[:32]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
