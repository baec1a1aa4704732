"""One picture worth a look, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["missed", "falseAlarm", "confusion", "lowAgreement", "uncertain"]
FOLDER = "cases"
"""Below a round's: where its cases lie."""
KINDS: tuple[Kind, ...] = ("missed", "falseAlarm", "confusion", "lowAgreement", "uncertain")
Box = tuple[str, float, float, float, float, float | None]
"""Class, x1, y1, x2, y2 in pixels of the picture, confidence; None: people's."""


class Case(BaseModel):
    """One picture of one kind.

    Attributes:
        purpose: `review`: it is measured on, and never to be trained on; `label`: nobody has labelled it yet.
        severity: 0..1, within its kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    purpose: Literal["review", "label"]
    picture: str = Field(description="name of its file below images/, unique")
    source: str = Field(description="hold-out, increment or folder that it comes from")
    sha256: str
    width: int
    height: int
    severity: float
    reason: str = Field(description="in words, with the numbers")
    truth: tuple[Box, ...]
    found: tuple[Box, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Of what people marked and what the model found."""
        return tuple(dict.fromkeys(box[0] for box in (*self.truth, *self.found)))


class CaseList(BaseModel):
    """All cases of a round: `cases.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    line: str
    round: int
    attempt: int
    classes: tuple[str, ...]
    confidence: float = Field(description="from which a box of the model counts")
    with_pictures: bool = Field(description="whether the pictures lie beside this file; not where a line keeps none")
    cases: tuple[Case, ...]

    def counts(self) -> dict[str, int]:
        """By kind."""
        return {kind: sum(case.kind == kind for case in self.cases) for kind in KINDS}


class Chosen(BaseModel):
    """A case and where its picture lies on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Case
    path: Path
