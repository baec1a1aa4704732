"""What discover's pod is asked, and what it answers: deliveries in a folder that no round has settled."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from treering_api.exit_codes import ExitCode
from treering_api.fields import Block, Name
from treering_api.message import fit
from treering_api.mirror import Mirror
from treering_api.spec import Spec


class LookPlan(Block):
    """One look into the folder of `spec.discover`, as a snapshot."""

    line: str = Field(description="Name of the line.")
    number: int = Field(ge=1, description="Number of the look; only rises.")
    spec: Spec = Field(description="The spec when the plan was made.")


class Delivery(Block):
    """One delivery that lies in the folder and is not settled."""

    name: Name = Field(description="Name of its folder.")
    images: int = Field(ge=0, description="Images in it.")
    digest: Annotated[str, Field(max_length=16, pattern=r"^[0-9a-f]*$")] = Field(
        description="Changes when an object in it comes, goes or changes: a delivery still growing is not taken."
    )


class LookResult(Block):
    """What one look saw: the last word of discover's pod."""

    schema_version: Literal[1] = 1
    exit_code: ExitCode = Field(description="The process's exit code.")
    line: Annotated[str, Field(max_length=63)] = Field(description="Name of the line.")
    number: int = Field(ge=0, description="Number of the look; 0 when it never began.")
    where: str = Field(default="", description="Field, file or URI at fault; empty when nothing is.")
    message: str = Field(default="", description="The error in words, or what was passed over.")
    deliveries: tuple[Delivery, ...] = Field(default=(), description="The first ones by name, as many as fit.")
    more: int = Field(default=0, ge=0, description="Deliveries that did not fit.")
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
        if len(self.message) > 200:
            return self.model_copy(update={"message": self.message[: len(self.message) // 2] + "…"})
        if not self.deliveries:
            return self.model_copy(update={"message": "", "where": self.where[:100], "mirror": None})
        kept = len(self.deliveries) * 9 // 10
        gone = len(self.deliveries) - kept
        return self.model_copy(update={"deliveries": self.deliveries[:kept], "more": self.more + gone})
