"""XML from elsewhere: bounded, without entities or document types, which can explode or read files."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from treering_trainer.dataset.formats.marks import UnreadableError

MOST_BYTES = 512 * 1024 * 1024
MEND = "Export it anew, or take the file away."


def read_xml(path: Path, where: str) -> Element:
    """A file's root element.

    Raises:
        UnreadableError: it is too large, no XML, or XML that defines entities.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableError(where, f"{size:,} bytes; {MOST_BYTES:,} are read at most", "Split it by picture.")
    try:
        root: Element = fromstring(path.read_bytes(), forbid_dtd=True)
    except DefusedXmlException as error:
        raise UnreadableError(
            where, f"it defines entities ({type(error).__name__}): that is never read", MEND
        ) from error
    except (ParseError, ValueError) as error:
        raise UnreadableError(where, f"it is no XML ({str(error)[:120]})", MEND) from error
    return root


def content(element: Element, name: str) -> str:
    """Text of a child, without spaces around; empty where there is none."""
    return (element.findtext(name) or "").strip()
