"""`spec.model` and `spec.store`: where the weights come from and where everything is kept."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, ClassName, Int, Key, Keyed, ObjectName, Uri, WeightsUri
from treering_api.rules import Count, Filled, Given, Not, Rule

MOST_DONORS = 7
IMAGE_SIZES = range(64, 2049, 32)
"""Sides that a network's square input may have, pixels."""


class Donor(Block):
    """A further model whose knowledge the line's first round merges with the base's."""

    uri: WeightsUri = Field(
        description="Where the donor's weights are: s3://bucket/path/x.pt, file:///path/x.pt or an official name "
        "(yolov8n.pt). Of any size or architecture that Treering reads, original YOLOv5 and YOLOv9 among them."
    )
    classes: Annotated[tuple[ClassName, ...], Field(max_length=1000)] = Field(
        default=(), description="Classes to take from it. Empty: all of them."
    )


class Model(Block):
    """What the first round starts from."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="classes",
            found="classes of the base are named, but there are no donors to merge it with",
            mend="Remove classes, or list donors",
            expression=Count((Not(Filled("classes")), Filled("donors")), least=1),
        ),
    )

    base: WeightsUri = Field(
        description="Start weights: s3://bucket/path/x.pt, file:///path/x.pt, an official name that ultralytics "
        "fetches where the network allows it (yolov8n.pt), or an architecture to start from scratch: an official "
        "name (yolov8n.yaml) or the URI of a model YAML."
    )
    image_size: Int = Field(
        default=640,
        ge=IMAGE_SIZES[0],
        le=IMAGE_SIZES[-1],
        multiple_of=IMAGE_SIZES.step,
        description="Side of the square that images are scaled into, in pixels; a multiple of 32.",
    )
    classes: Annotated[tuple[ClassName, ...], Field(max_length=1000)] = Field(
        default=(), description="Where there are donors: classes of the base to keep. Empty: all of them."
    )
    donors: Annotated[tuple[Donor, ...], Field(max_length=MOST_DONORS), Keyed("uri")] = Field(
        default=(),
        description="Models to merge with the base in the first round, by fine-tuning; at most 7. Each teaches its "
        "classes on all pictures, and the gate compares with each on its own classes.",
    )
    trunk: Literal["auto", "base", "interpolated"] = Field(
        default="auto",
        description="Where there are donors: whose layers below the classes the merged model starts from. base: the "
        "base's; interpolated: the mean of the base and all donors of its origin; auto: whatever of these, and of "
        "each donor's own, scores best on the increments' val pictures before training; without any, the mean, or "
        "else the base's.",
    )

    @property
    def from_scratch(self) -> bool:
        """Whether there are no start weights, only an architecture."""
        return self.base.endswith(".yaml")

    @property
    def official(self) -> bool:
        """Whether `base` is a name that ultralytics fetches by itself."""
        return "://" not in self.base and not self.from_scratch


class CertificateAuthority(Block):
    """Where the store's certificate authority is: one of the two objects."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            found="a certificate authority has exactly one source",
            mend="Give either secret or configMap",
            expression=Count((Given("secret"), Given("config_map")), least=1, most=1),
        ),
    )

    secret: ObjectName | None = Field(default=None, description="Name of a Secret in the line's namespace.")
    config_map: ObjectName | None = Field(default=None, description="Name of a ConfigMap in the line's namespace.")
    key: Key = Field(default="ca.crt", description="Key in it that holds the certificates in PEM.")


class StoreSpec(Block):
    """Where the line lives: models, memory, checkpoints, reports."""

    uri: Uri = Field(description="The line's own folder: s3://bucket/prefix or file:///absolute/folder.")
    endpoint: Annotated[str, Field(max_length=512, pattern=r"^https?://[^/\s?#]+/?$")] | None = Field(
        default=None,
        description="Address of an S3-compatible server, such as https://minio.example:9000. Absent: Amazon's.",
        json_schema_extra={"x-mend": "Write http://host:port or https://host:port, without a path"},
    )
    region: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[-a-zA-Z0-9]+$")] | None = Field(
        default=None, description="Region that requests are signed for. Absent: from the environment, or us-east-1."
    )
    path_style: Bool | None = Field(
        default=None, description="Bucket in the path instead of the host name. Absent: on with an own endpoint."
    )
    checksums: Literal["auto", "whenRequired", "whenSupported"] = Field(
        default="auto",
        description="When S3 checksums are sent and checked; auto: whenRequired with an own endpoint, "
        "since many S3-compatible servers know no newer checksums.",
    )
    certificate_authority: CertificateAuthority | None = Field(
        default=None, description="Certificate authority of the endpoint. Absent: the system's."
    )
    credentials_secret: ObjectName | None = Field(
        default=None,
        description="Secret in the line's namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; mounted into "
        "the pod's environment, never read by the operator. On one machine the environment is used instead.",
    )
    service_account: ObjectName | None = Field(
        default=None, description="Service account of the pods, where a role grants access (IRSA, Workload Identity)."
    )
