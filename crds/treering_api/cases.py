"""`spec.cases`: what is collected of each round for people to look at and to label."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from treering_api.fields import Block, Bool, Float, Int, Keyed, Name, Uri


class Unlabelled(Block):
    """Pictures that nobody has labelled yet."""

    name: Name = Field(description="Name of the place, for people and files.")
    uri: Uri = Field(
        description="Its folder: s3://bucket/prefix or file:///absolute/folder; every picture below counts."
    )


class Cases(Block):
    """Pictures that a round's model reads worst, and unlabelled ones that it is least sure of, ready to be labelled."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    images: Annotated[Int, Field(ge=1, le=500)] = Field(
        default=24,
        description="Most pictures of each kind: missed, false alarms, confusions, disagreements, uncertain.",
    )
    confidence: Annotated[Float, Field(ge=0.05, le=0.95)] = Field(
        default=0.25,
        description="Confidence from which a box counts as said, and stands in the labels that are proposed.",
    )
    unlabelled: Annotated[tuple[Unlabelled, ...], Field(max_length=16), Keyed("name")] = Field(
        default=(), description="Where unlabelled pictures lie; at most 16 folders."
    )
    max_mib: Annotated[Int, Field(ge=1, le=10_000)] = Field(
        default=256, description="Most MiB of pictures that a round's cases take in the store."
    )
    looked_at: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=1000, description="Unlabelled pictures that are looked at in each folder, chosen by their names' hash."
    )


class CaseCounts(Block):
    """How many pictures a round collected, by what is wrong with them; of a newer trainer, those kinds known here."""

    model_config = ConfigDict(extra="ignore")

    missed: Annotated[Int, Field(ge=0)] = Field(default=0, description="Labelled objects that were not found.")
    false_alarm: Annotated[Int, Field(ge=0)] = Field(default=0, description="Found where nothing is labelled.")
    confusion: Annotated[Int, Field(ge=0)] = Field(default=0, description="Found as another class.")
    low_agreement: Annotated[Int, Field(ge=0)] = Field(
        default=0, description="Read otherwise than by the model before."
    )
    uncertain: Annotated[Int, Field(ge=0)] = Field(default=0, description="Unlabelled, and worth a label.")
