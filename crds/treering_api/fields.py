"""The small types that every block of the API is made of: closed blocks, names, URIs, durations.

Used by the spec and status modules. Every text and list has a maximum: the API server refuses rules over unbounded
ones. Patterns are in the common subset of RE2 (Kubernetes) and Rust's regex (pydantic), so both refuse the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from treering_api.rules import Ruled, add_validations

MAX_INCREMENTS = 1000
MAX_HOLDOUTS = 16  # with more, comparing them with 1000 increments' longest URIs is over the API server's limit
MAX_CLASSES = 1000
URI_LENGTH = 512

_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_S3 = r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_DURATION_UNITS_S = (86_400, 3_600, 60, 1)


class Block(Ruled):
    """One block of the API: frozen, closed, camelCase in YAML, Python names in code."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        json_schema_extra=add_validations,
    )


Int = Annotated[int, Strict()]
Float = Annotated[float, Strict(), AllowInfNan(False)]
Bool = Annotated[bool, Strict()]
Auto = Literal["auto"]

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=_NAME_PATTERN,
        json_schema_extra={
            "x-mend": "Names have lower-case letters, digits, dots and hyphens, start and end with a letter or digit, "
            "at most 63 characters"
        },
    ),
]
"""A name that also fits a Kubernetes label."""

ClassName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name of an object class, as people write it; no control characters."""

Uri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URI_LENGTH,
        pattern=rf"^({_S3}(/[^\x00-\x1f?#]*)?|file:///[^\x00-\x1f?#]+)$",
        json_schema_extra={"x-mend": "Write s3://bucket/prefix or file:///absolute/folder"},
    ),
]
"""A place in a store."""

WeightsUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URI_LENGTH,
        pattern=rf"^({_S3}/[^\x00-\x1f?#]+\.(pt|yaml)|file:///[^\x00-\x1f?#]+\.(pt|yaml)|[A-Za-z0-9][A-Za-z0-9._-]*\.(pt|yaml))$",
        json_schema_extra={
            "x-mend": "Write s3://bucket/path/weights.pt, file:///absolute/weights.pt, an official name such as "
            "yolov8n.pt, or an architecture such as yolov8n.yaml (a name or a URI) to start from scratch"
        },
    ),
]
"""Where a model comes from."""

CheckpointUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URI_LENGTH,
        pattern=rf"^({_S3}/[^\x00-\x1f?#]+\.pt|file:///[^\x00-\x1f?#]+\.pt|[A-Za-z0-9][A-Za-z0-9._-]*\.pt)$",
        json_schema_extra={
            "x-mend": "Write s3://bucket/path/weights.pt, file:///absolute/weights.pt, or an official name such as "
            "yolov8x.pt"
        },
    ),
]
"""Where a trained model comes from."""

Duration = Annotated[
    str,
    Field(
        min_length=2,
        max_length=20,
        pattern=r"^([0-9]{1,5}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$",
        json_schema_extra={"x-mend": "Durations are written like 90s, 15m, 6h, 7d or 1h30m"},
    ),
]
"""A span of time: days, hours, minutes, seconds, in this order."""

Quantity = Annotated[
    str,
    Field(
        min_length=1,
        max_length=20,
        pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        json_schema_extra={"x-mend": "Quantities are quoted texts like '500m', '4', '16Gi'"},
    ),
]
"""An amount of CPU, memory or disk, in Kubernetes' notation."""

ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=_NAME_PATTERN,
        json_schema_extra={"x-mend": "Give the name of an object in the line's own namespace"},
    ),
]
"""The name of another Kubernetes object in the line's namespace."""

Key = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key of a Secret or ConfigMap."""

LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=r"^[-._/a-zA-Z0-9]+$")]
"""A label, annotation or resource name, with or without a prefix."""

Sentence = Annotated[str, Field(max_length=1024)]
"""Words for people."""

Timestamp = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
"""A moment, RFC 3339, UTC."""


def seconds(duration: str) -> int:
    """The length of a duration such as `90s`, `15m`, `6h`, `7d` or `1h30m` in seconds.

    Raises:
        ValueError: the text is no duration.
    """
    match = _DURATION.fullmatch(duration)
    if match is None or not duration:
        raise ValueError(f"{duration!r} is no duration; write 90s, 15m, 6h, 7d or 1h30m")
    return sum(int(part or 0) * unit_s for part, unit_s in zip(match.groups(), _DURATION_UNITS_S, strict=True))


def _refuse_twice(field: str, keys: Iterable[Any]) -> None:
    counts = Counter(keys)
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        raise PydanticCustomError(
            "not_unique",
            "{field} {value} stands there {count} times",
            {"field": field, "value": repr(str(twice[0])), "count": counts[twice[0]]},
        )


@dataclass(frozen=True)
class Distinct:
    """Marks a list of texts in which none stands twice, here and in Kubernetes."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check uniqueness after the items themselves."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell the API server the same."""
        return handler(schema) | {"x-kubernetes-list-type": "set"}

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        _refuse_twice("the entry", items)
        return items


@dataclass(frozen=True)
class Keyed:
    """Marks a list whose items are told apart by one field: no two items may share it, here and in Kubernetes."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check uniqueness after the items themselves."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell the API server the same."""
        return handler(schema) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.field]}

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        _refuse_twice(self.field, (getattr(item, self.field) for item in items))
        return items
