"""Annotation files from elsewhere, parsed within bounds: JSON and XML in, plain objects or a named error out.

XML goes through defusedxml with document types refused, so that there are no entities, bombs or outside files. JSON is
bounded in size, and by Python's own limits in depth and in the length of numbers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree

from treering_api.errors import BadDataError

MAX_JSON_BYTES = 512 * 1024 * 1024
"""COCO's own 118,000 pictures with outlines are 450 MB."""
MAX_CVAT_BYTES = 256 * 1024 * 1024
MAX_VOC_BYTES = 4 * 1024 * 1024


def read_json(path: Path, where: str, limit_bytes: int = MAX_JSON_BYTES) -> Any:
    """The content of a JSON file.

    Raises:
        BadDataError: too large, no UTF-8, no JSON, or nested without end.
    """
    data = _bytes(path, where, limit_bytes)
    try:
        return json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise BadDataError(where, "is nested too deeply for annotations", "Export the annotations again.") from None
    except ValueError as error:
        raise BadDataError(where, f"is no JSON: {_line(error)}", "Export the annotations again.") from None


def read_xml(path: Path, where: str, limit_bytes: int) -> Element:
    """The root element of an XML file.

    Raises:
        BadDataError: too large, no XML, or with a document type or entities.
    """
    data = _bytes(path, where, limit_bytes)
    try:
        return cast("Element", SafeTree.fromstring(data, forbid_dtd=True))
    except DefusedXmlException:
        found = "declares a document type or entities, which annotations never need and attacks do"
        raise BadDataError(where, found, "Take the <!DOCTYPE ...> away, if you trust the file.") from None
    except (ParseError, ValueError, LookupError) as error:
        raise BadDataError(where, f"is no XML: {_line(error)}", "Export the annotations again.") from None


def _bytes(path: Path, where: str, limit_bytes: int) -> bytes:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > limit_bytes:
            found = f"{size_bytes:,} bytes, more than the {limit_bytes:,} that are read"
            raise BadDataError(where, found, "Split the delivery into smaller ones.")
        return path.read_bytes()
    except OSError as error:
        raise BadDataError(where, f"can't be read: {error.strerror}", "Make the file readable.") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
