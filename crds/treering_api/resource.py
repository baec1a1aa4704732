"""The whole resource `IncrementalTrain`, as a file on a laptop and as an object in a cluster."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from treering_api.fields import Block
from treering_api.rules import BeginsWith, Rule, Ruled
from treering_api.spec import Spec
from treering_api.status import Status

GROUP = "treering.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "IncrementalTrain"
LINE_NAME_LENGTH = 40
LINE_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class Metadata(Ruled):
    """What Kubernetes keeps about an object; keys that Treering does not know are let through unread."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LINE_NAME_LENGTH,
            pattern=LINE_NAME_PATTERN,
            json_schema_extra={
                "x-mend": "A line's name has lower-case letters, digits and hyphens, starts and ends with a letter or "
                f"digit, at most {LINE_NAME_LENGTH} characters: Jobs and Pods are named after it"
            },
        ),
    ] = Field(description="Name of the line.")
    namespace: str | None = Field(default=None, max_length=63, description="Namespace of the line.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels, handed on to children.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations, such as treering.dev/retry.")
    generation: int = Field(default=0, ge=0, description="Number of the spec's version; 0 outside a cluster.")
    uid: str = Field(default="", description="Identity of the object; empty outside a cluster.")
    resource_version: str = Field(default="", description="Version of the object; empty outside a cluster.")
    creation_timestamp: str | None = Field(default=None, description="When it was made, RFC 3339.")
    deletion_timestamp: str | None = Field(default=None, description="When it was deleted, RFC 3339.")


class IncrementalTrain(Block):
    """One line."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="spec.increments",
            found="an increment that was dealt with was removed, reordered or got another URI",
            mend="Put the list back as status.settled has it; append new increments at the end. To move the line, "
            "change spec.store.uri alone, and the list once status.settled is empty",
            expression=BeginsWith("spec.increments", "status.settled", ("name", "uri")),
        ),
    )

    api_version: Literal["treering.dev/v1alpha1"] = Field(description="Always treering.dev/v1alpha1.")
    kind: Literal["IncrementalTrain"] = Field(description="Always IncrementalTrain.")
    metadata: Metadata = Field(description="Name, namespace, labels, annotations.")
    spec: Spec = Field(description="What the user says.")
    status: Status | None = Field(default=None, description="What the operator says; absent outside a cluster.")
