"""torch's format since 1.6: a zip archive with `data.pkl` and one uncompressed entry for each storage."""

from __future__ import annotations

import io
import zipfile
from typing import IO, Any

from treering_trainer.foreign.refusal import DISTRUST, LARGEST_PICKLE_BYTES, MOST_ENTRIES, RefusedError, damaged
from treering_trainer.foreign.tensors import StorageRef
from treering_trainer.foreign.unpickling import storage_ref, unpickle

LOCAL_HEADER_BYTES = 30


class TorchZip:
    """A checkpoint as torch saves it today."""

    container = "torch zip archive"

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        entries = _entries(file, size_bytes)
        pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in entries):
            raise RefusedError(
                "holds a TorchScript program, not tensors", "Give the checkpoint that it was exported from."
            )
        if len(pickles) != 1:
            shown = ", ".join(sorted(entries)[:4]) or "nothing"
            raise RefusedError(f"holds a zip archive that torch did not write ({shown})")
        self._folder = pickles[0].rpartition("/")[0]
        self._entries = entries
        self._check_byte_order()
        self.structure_bytes = entries[pickles[0]].file_size
        if self.structure_bytes > LARGEST_PICKLE_BYTES:
            raise damaged(f"its data.pkl has {self.structure_bytes:,} bytes, {LARGEST_PICKLE_BYTES:,} are allowed")
        self.root = unpickle(io.BytesIO(self._bytes(entries[pickles[0]], 0, self.structure_bytes)), self._storage)

    def read(self, key: str, start: int, size_bytes: int) -> bytes:
        """Bytes of a storage."""
        return self._bytes(self._entries[f"{self._folder}/data/{key}"], start, size_bytes)

    def _storage(self, pid: tuple[Any, ...]) -> StorageRef:
        ref = storage_ref(pid[1], pid[2], pid[4])
        entry = self._entries.get(f"{self._folder}/data/{ref.key}")
        if entry is None or entry.file_size != ref.size_bytes:
            there = "is missing" if entry is None else f"has {entry.file_size:,} bytes in place of {ref.size_bytes:,}"
            raise damaged(f"storage {ref.key[:40]!r} {there}")
        return ref

    def _check_byte_order(self) -> None:
        entry = self._entries.get(f"{self._folder}/byteorder")
        if entry is not None and self._bytes(entry, 0, min(entry.file_size, 10)) != b"little":
            raise RefusedError("was saved on a machine with another byte order", "Save it again on a common machine.")

    def _bytes(self, entry: zipfile.ZipInfo, start: int, size_bytes: int) -> bytes:
        self._file.seek(entry.header_offset)
        header = self._file.read(LOCAL_HEADER_BYTES)
        if len(header) < LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
            raise damaged(f"its entry {entry.filename[:60]!r} is not where the directory says")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        self._file.seek(entry.header_offset + LOCAL_HEADER_BYTES + lengths + start)
        found = self._file.read(size_bytes)
        if len(found) != size_bytes:
            raise damaged(f"its entry {entry.filename[:60]!r} is cut off")
        return found


def _entries(file: IO[bytes], size_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's directory, by name.

    Raises:
        RefusedError: it is damaged, compressed, larger than the file, or names places outside.
    """
    try:
        listed = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, OSError) as error:
        raise damaged(f"its zip archive is damaged or cut off: {str(error)[:80]}") from error
    if len(listed) > MOST_ENTRIES:
        raise damaged(f"it has {len(listed):,} entries, {MOST_ENTRIES:,} are allowed")
    for entry in listed:
        name = entry.orig_filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or "\0" in name or ":" in name:
            raise RefusedError(f"names a file outside of itself ({name[:60]!a})", DISTRUST)
    packed = [
        entry for entry in listed if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size
    ]
    if packed:
        worst = max(packed, key=lambda entry: entry.file_size)
        found = (
            f"is compressed ({worst.orig_filename[:60]!a} unpacks to {worst.file_size:,} bytes), which torch never does"
        )
        raise RefusedError(found, DISTRUST)
    if sum(entry.file_size for entry in listed) > size_bytes:
        raise RefusedError(f"claims to hold more than its {size_bytes:,} bytes (a zip bomb)", DISTRUST)
    by_name = {entry.filename: entry for entry in listed}
    if len(by_name) != len(listed):
        raise damaged("two of its entries have one name")
    return by_name
