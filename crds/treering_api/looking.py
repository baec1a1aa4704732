"""What discover's pod is asked, and what it answers: deliveries in a folder that no round has settled."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from treering_api.exit_codes import ExitCode
from treering_api.fields import Block, Name
from treering_api.message import fit
from treering_api.mirror import Mirror
from treering_api.spec import Spec

_LONG_BYTES = 200


class LookPlan(Block):
    """One look into the folder of `spec.discover`, as a snapshot."""

    line: str = Field(description="Name of the line.")
    number: int = Field(ge=1, description="Number of the look; only rises.")
    spec: Spec = Field(description="The spec when the plan was made.")

    def work_digest(self) -> str:
        """SHA-256 over what a look depends on: the folder, the store and the pod; when it changes, one is due."""
        folder = None if self.spec.discover is None else self.spec.discover.uri
        about = [self.spec.store.model_dump(mode="json"), self.spec.compute.model_dump(mode="json")]
        text = json.dumps([self.line, folder, *about], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Delivery(Block):
    """One delivery that lies in the folder and is not settled."""

    model_config = ConfigDict(extra="ignore")

    name: Name = Field(description="Name of its folder.")
    images: int = Field(ge=0, description="Images in it.")
    digest: Annotated[str, Field(max_length=16, pattern=r"^[0-9a-f]*$")] = Field(
        description="Changes when an object in it comes, goes or changes: a delivery still growing is not taken."
    )


class LookResult(Block):
    """What one look saw: the last word of discover's pod; fields of a newer trainer are let through unread."""

    model_config = ConfigDict(extra="ignore")

    schema_version: Literal[1] = 1
    exit_code: ExitCode = Field(description="The process's exit code.")
    line: Annotated[str, Field(max_length=63)] = Field(description="Name of the line.")
    number: int = Field(ge=0, description="Number of the look; 0 when it never began.")
    where: str = Field(default="", description="Field, file or URI at fault; empty when nothing is.")
    message: str = Field(default="", description="The error in words, or what was passed over.")
    deliveries: tuple[Delivery, ...] = Field(default=(), description="The first ones by name, as many as fit.")
    more: int = Field(default=0, ge=0, description="Deliveries that did not fit.")
    class_count: int = Field(default=0, ge=0, description="Classes of the line's model.")
    classes: tuple[str, ...] = Field(default=(), description="Their names; the first few, if they don't fit.")
    mirror: Mirror | None = Field(default=None, description="How the lineage stands.")

    def to_message(self) -> str:
        """The result as JSON of at most 4096 bytes; deliveries that don't fit are counted in `more`."""
        return fit(self, LookResult._shorter)

    @classmethod
    def from_message(cls, message: str) -> Self:
        """Read a termination message back.

        Raises:
            ValueError: it is no such result (pydantic's error).
        """
        return cls.model_validate_json(message)

    def _shorter(self) -> Self:
        """Long words first, then names of classes, deliveries from the end, the mirror's words and the mirror."""
        words = {"message": self.message, "where": self.where}
        longest = max(words, key=lambda name: len(words[name].encode()))
        if len(words[longest].encode()) > _LONG_BYTES:
            text = words[longest].removesuffix("…")
            return self.model_copy(update={longest: text[: len(text) // 2] + "…"})
        if self.classes:
            return self.model_copy(update={"classes": self.classes[: len(self.classes) // 2]})
        if self.deliveries:
            kept = len(self.deliveries) * 9 // 10
            gone = len(self.deliveries) - kept
            return self.model_copy(update={"deliveries": self.deliveries[:kept], "more": self.more + gone})
        return self.model_copy(update={"mirror": None if self.mirror is None else self.mirror.shorter()})
