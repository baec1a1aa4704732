"""Which format a file has, by its first bytes; what is none of ours is named by what it is."""

from __future__ import annotations

import io
from typing import IO

from treering_trainer.foreign.refusal import LARGEST_FILE_BYTES, LARGEST_PICKLE_BYTES, RefusedError
from treering_trainer.foreign.safetensors_file import Safetensors
from treering_trainer.foreign.source import Source
from treering_trainer.foreign.torch_legacy import START, TorchLegacy
from treering_trainer.foreign.torch_zip import TorchZip
from treering_trainer.foreign.unpickling import unpickle

HEAD_BYTES = 512
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
PICKLE = b"\x80"
OTHERS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ", "a Windows program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89HDF", "an HDF5 file (Keras, perhaps)"),
    (b"GGUF", "a GGUF model"),
    (b"%PDF", "a PDF document"),
    (b"#!", "a script"),
)


def open_source(file: IO[bytes], size_bytes: int) -> Source:
    """The file in its format.

    Raises:
        RefusedError: it has none of ours, or is damaged.
    """
    if size_bytes > LARGEST_FILE_BYTES:
        raise RefusedError(f"has {size_bytes:,} bytes, {LARGEST_FILE_BYTES:,} are allowed")
    head = file.read(HEAD_BYTES)
    if head.startswith(ZIP):
        return TorchZip(file, size_bytes)
    if head.startswith(START):
        return TorchLegacy(file, size_bytes)
    if head[8:9] == b"{":
        return Safetensors(file, size_bytes)
    if head.startswith(PICKLE):
        _refuse_pickle(file)
    raise RefusedError(f"is no checkpoint that can be read (it is {_describe(head)})")


def _refuse_pickle(file: IO[bytes]) -> None:
    """A pickle that torch did not write; what it would run is named first."""
    file.seek(0)
    unpickle(io.BytesIO(file.read(LARGEST_PICKLE_BYTES)))
    raise RefusedError("is no checkpoint that can be read (it is a bare pickle, not written by torch)")


def _describe(head: bytes) -> str:
    for start, name in OTHERS:
        if head.startswith(start):
            return name
    if not head:
        return "empty"
    if head[257:262] == b"ustar":
        return "a tar archive"
    printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return "text" if printable == len(head) else "none of the formats that hold a model"
