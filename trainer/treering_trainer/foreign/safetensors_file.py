"""A safetensors file: a header of JSON, then the numbers. Its header is checked as that of any other file."""

from __future__ import annotations

import json
from typing import IO, Any

from treering_trainer.foreign.refusal import LARGEST_HEADER_BYTES, MOST_TENSORS, damaged
from treering_trainer.foreign.tensors import ITEM_BYTES, StorageRef, TensorRecord, make_record

LENGTH_BYTES = 8


class Safetensors:
    """Tensors by name; `root` holds them and the header's metadata."""

    container = "safetensors"

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        file.seek(0)
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > LARGEST_HEADER_BYTES or LENGTH_BYTES + length > size_bytes:
            allowed = min(LARGEST_HEADER_BYTES, size_bytes - LENGTH_BYTES)
            raise damaged(f"its header claims {length:,} bytes, {allowed:,} are allowed")
        self.structure_bytes = LENGTH_BYTES + length
        self._room = size_bytes - self.structure_bytes
        header = _parse(file.read(length))
        self.metadata = header.pop("__metadata__", {})
        if not isinstance(self.metadata, dict):
            raise damaged("its metadata are no texts")
        if len(header) > MOST_TENSORS:
            raise damaged(f"it has {len(header):,} tensors, {MOST_TENSORS:,} are allowed")
        self._starts: dict[str, int] = {}
        self.root = {"model": {name: self._record(name, entry) for name, entry in header.items()}}
        if sum(record.size_bytes for record in self.root["model"].values()) > self._room:
            raise damaged("its tensors overlap")

    def read(self, key: str, start: int, size_bytes: int) -> bytes:
        """Bytes of a tensor."""
        self._file.seek(self.structure_bytes + self._starts[key] + start)
        found = self._file.read(size_bytes)
        if len(found) != size_bytes:
            raise damaged(f"tensor {key[:60]!r} is cut off")
        return found

    def _record(self, name: str, entry: object) -> TensorRecord:
        shown = f"tensor {name[:60]!a}"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise damaged(f"{shown} is not described")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
            raise damaged(f"{shown} has numbers of an unknown kind")
        if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
            raise damaged(f"{shown} has no shape or no place")
        start, end = offsets
        if not all(isinstance(place, int) for place in offsets) or not 0 <= start <= end <= self._room:
            raise damaged(f"{shown} lies outside of the file")
        self._starts[name] = start
        numbers, odd = divmod(end - start, ITEM_BYTES[dtype])
        record = make_record(StorageRef(dtype, name, numbers), 0, shape, _steps(shape))
        if odd or record.numbers != numbers:
            raise damaged(f"{shown} of shape {shape} does not fill its {end - start:,} bytes")
        return record


def _steps(shape: list[Any]) -> list[int]:
    """Strides of a dense tensor; a shape that is none is found by who takes them."""
    steps: list[int] = []
    step = 1
    for side in reversed(shape[:16]):
        steps.insert(0, step)
        step *= max(side, 1) if isinstance(side, int) and side < 1 << 40 else 1
    return steps


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged("its header is no JSON") from error
    if not isinstance(header, dict):
        raise damaged("its header is no JSON object")
    return header
