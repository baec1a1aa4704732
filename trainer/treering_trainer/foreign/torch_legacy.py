"""torch's format before 1.6: four pickles one after the other, then the storages in the order of the fourth."""

from __future__ import annotations

import io
from typing import IO, Any

from treering_trainer.foreign.refusal import LARGEST_PICKLE_BYTES, RefusedError, damaged
from treering_trainer.foreign.tensors import ITEM_BYTES, StorageRef
from treering_trainer.foreign.unpickling import storage_ref, unpickle

MAGIC = 0x1950A86A20F9469CFC6C
START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle: the magic number."""
PROTOCOL = 1001


class TorchLegacy:
    """A checkpoint as torch saved it before 1.6, or with the new format switched off."""

    container = "torch file (before 1.6)"

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        self._refs: dict[str, StorageRef] = {}
        head = io.BytesIO(_head(file))
        if unpickle(head) != MAGIC or unpickle(head) != PROTOCOL:
            raise damaged("its first numbers are not torch's")
        system = unpickle(head)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise RefusedError("was saved on a machine with another byte order", "Save it again on a common machine.")
        self.root = unpickle(head, self._storage)
        keys = unpickle(head)
        self.structure_bytes = head.tell()
        self._places = self._places_of(keys, head.tell(), size_bytes)

    def read(self, key: str, start: int, size_bytes: int) -> bytes:
        """Bytes of a storage."""
        self._file.seek(self._places[key] + start)
        found = self._file.read(size_bytes)
        if len(found) != size_bytes:
            raise damaged(f"storage {key[:40]!r} is cut off")
        return found

    def _storage(self, pid: tuple[Any, ...]) -> StorageRef:
        if len(pid) > 5 and pid[5] is not None:
            raise damaged("it shares storages in the way of torch 0.3")
        ref = storage_ref(pid[1], pid[2], pid[4])
        if self._refs.setdefault(ref.key, ref) != ref:
            raise damaged(f"storage {ref.key[:40]!r} has two sizes")
        return ref

    def _places_of(self, keys: object, start: int, size_bytes: int) -> dict[str, int]:
        if not isinstance(keys, list) or {*map(str, keys)} != {*self._refs} or len(keys) != len(self._refs):
            raise damaged("its list of storages is not what its tensors need")
        places: dict[str, int] = {}
        for key in keys:
            ref = self._refs[key]
            self._file.seek(start)
            if int.from_bytes(self._file.read(8), "little") != ref.numbers:
                raise damaged(f"storage {key[:40]!r} has not the size that its tensors need")
            places[key] = start + 8
            start += 8 + ref.numbers * ITEM_BYTES[ref.dtype]
            if start > size_bytes:
                raise damaged(f"storage {key[:40]!r} is cut off")
        return places


def _head(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(LARGEST_PICKLE_BYTES)
