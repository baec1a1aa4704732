"""A line as it lies in the store: its lineage, its rounds' folders, its bank of remembered images.

    lineage.json                     the one object that changes, by conditional put only
    report.html                      the line's page, made anew after each round
    bank/<sha256><suffix>            remembered and validation images, named by content, shared by all rounds
    attempts/0002/0001.json          one claim for each try at a round
    rounds/0002/attempt-1/...        what a try published; its manifest.json is written last
    checkpoints/0002/attempt-3/...   how far the training of a round at work is, see `stages.checkpoints`; pods only

A folder below rounds/ counts only if the lineage names it; what lies below checkpoints/ goes when its round has ended.
Used by the stages and by the command line; on a cluster only trainer pods come here. Importing this costs no detector:
a look at a line is quick.
"""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from treering_api import (
    RETRY_ANNOTATION,
    IncrementalTrain,
    Lineage,
    ModelRef,
    Rollback,
    RoundPlan,
    Spec,
    StoreError,
    Waiting,
    next_round,
)
from treering_trainer.store import ConflictError, Connection, NotFoundError, Store, open_store

LINEAGE = "lineage.json"
REPORT = "report.html"
BANK = "bank"
CHECKPOINTS = "checkpoints"
MANIFEST = "manifest.json"
_CLAIM = re.compile(r"(\d+)\.json")


@dataclass(frozen=True)
class Line:
    """One line in its store."""

    name: str
    store: Store

    def read(self) -> tuple[Lineage, str | None]:
        """The lineage and its ETag; an empty one without ETag for a line that never ran.

        Raises:
            StoreError: the store can't be read, or `lineage.json` is not ours.
        """
        try:
            data, etag = self.store.get_with_etag(LINEAGE)
        except NotFoundError:
            return Lineage(line=self.name), None
        try:
            lineage = Lineage.model_validate_json(data)
        except ValidationError as error:
            raise StoreError(
                f"{self.store.uri}/{LINEAGE}",
                f"it is no lineage of this version ({error.error_count()} faults, first: {error.errors()[0]['msg']})",
                "Restore the object from a backup, or name another folder in spec.store.uri",
            ) from error
        if lineage.line != self.name:
            raise StoreError(
                self.store.uri,
                f"the folder holds the line {lineage.line!r}, not {self.name!r}",
                "Give each line a folder of its own in spec.store.uri",
            )
        return lineage, etag

    def write(self, lineage: Lineage, etag: str | None) -> None:
        """Make `lineage` the line's, if nobody else wrote since `etag` was read.

        Raises:
            ConflictError: somebody else did.
        """
        data = (lineage.model_dump_json(indent=1, by_alias=True) + "\n").encode()
        if etag is None:
            self.store.put(LINEAGE, data, create=True)
        else:
            self.store.put(LINEAGE, data, if_match=etag)

    def claim_attempt(self, round_number: int) -> int:
        """The number of a new try at a round; two processes never get the same one."""
        folder = f"attempts/{round_number:04d}"
        claim = {"host": platform.node(), "time": now()}
        names = (_CLAIM.fullmatch(info.key.removeprefix(f"{folder}/")) for info in self.store.list(f"{folder}/"))
        number = 1 + max((int(name[1]) for name in names if name), default=0)
        while True:
            try:
                self.store.put(f"{folder}/{number:04d}.json", json.dumps(claim).encode(), create=True)
            except ConflictError:
                number += 1
            else:
                return number

    def round_folder(self, round_number: int, attempt: int) -> Store:
        """Where a try at a round publishes to."""
        return self.store.at(folder_name(round_number, attempt))

    def model_folder(self, model: ModelRef) -> Store:
        """Where a published model lies."""
        return self.round_folder(model.round, model.attempt)

    def bank(self) -> Store:
        """Where images lie by content."""
        return self.store.at(BANK)


def open_line(resource: IncrementalTrain, certificate_authority: Path | None = None) -> Line:
    """The line of a resource, in its store."""
    connection = connect(resource.spec, certificate_authority)
    return Line(resource.metadata.name, open_store(resource.spec.store.uri, connection))


def connect(spec: Spec, certificate_authority: Path | None = None) -> Connection:
    """How `spec.store` is spoken to."""
    return Connection.from_spec(spec.store, certificate_authority)


def plan_next(resource: IncrementalTrain, lineage: Lineage) -> RoundPlan | Rollback | Waiting:
    """What would be done next for a line."""
    retry = resource.metadata.annotations.get(RETRY_ANNOTATION)
    return next_round(resource.spec, resource.metadata.name, lineage, retry=retry)


def folder_name(round_number: int, attempt: int) -> str:
    """The folder of a try at a round, relative to the line's."""
    return f"rounds/{round_number:04d}/attempt-{attempt}"


def checkpoint_folder(round_number: int, attempt: int) -> str:
    """Where a try at a round keeps its training safe, relative to the line's folder."""
    return f"{CHECKPOINTS}/{round_number:04d}/attempt-{attempt}"


def now() -> str:
    """The time, RFC 3339, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
