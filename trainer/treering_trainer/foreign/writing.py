"""The tensors of a file as a safetensors file of ours, dense and in order; what is no number is found on the way."""

from __future__ import annotations

import json
from typing import IO

import numpy as np
from numpy.typing import NDArray

from treering_trainer.foreign.refusal import RefusedError
from treering_trainer.foreign.source import Source
from treering_trainer.foreign.tensors import EXPONENTS, ITEM_BYTES, TensorRecord

RETRAIN = "Take a checkpoint from before the training diverged."
MOST_TIMES = 4
"""Tensors may share storages; written apart, they may take as many times the file's size."""


def check_numbers(source: Source, tensors: dict[str, TensorRecord]) -> None:
    """Refuse weights that are no numbers.

    Raises:
        RefusedError: names the tensor.
    """
    for name, record in tensors.items():
        _numbers(source, name, record)


def write_tensors(source: Source, tensors: dict[str, TensorRecord], target: IO[bytes], size_bytes: int) -> None:
    """Write what `safetensors` reads.

    Raises:
        RefusedError: a tensor holds what is no number, or all together are far larger than the file.
    """
    header: dict[str, object] = {}
    end = 0
    for name, record in tensors.items():
        start, end = end, end + record.size_bytes
        header[name] = {"dtype": record.storage.dtype, "shape": record.shape, "data_offsets": [start, end]}
    if end > MOST_TIMES * size_bytes:
        raise RefusedError(
            f"unpacks to {end:,} bytes of tensors out of {size_bytes:,}", "Save it again, each tensor once."
        )
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    write_all(target, len(text).to_bytes(8, "little") + text)
    for name, record in tensors.items():
        write_all(target, _numbers(source, name, record).tobytes())


def _numbers(source: Source, name: str, record: TensorRecord) -> NDArray[np.unsignedinteger]:
    """The tensor's numbers as unsigned integers of their width, in the order of its shape."""
    width = ITEM_BYTES[record.storage.dtype]
    kind = np.dtype(f"<u{width}")
    if record.dense:
        data = source.read(record.storage.key, record.offset * width, record.size_bytes)
        found = np.frombuffer(data, dtype=kind)
    else:
        data = source.read(record.storage.key, 0, record.storage.size_bytes)
        steps = tuple(step * width for step in record.stride)
        whole = np.frombuffer(data, dtype=kind)[record.offset :]
        found = np.ascontiguousarray(np.lib.stride_tricks.as_strided(whole, record.shape, steps))
    mask = EXPONENTS.get(record.storage.dtype)
    if mask is not None:
        odd = int(np.count_nonzero((found & kind.type(mask)) == kind.type(mask)))
        if odd:
            what = "value that is no number" if odd == 1 else "values that are no numbers"
            raise RefusedError(f"holds {odd:,} {what} (NaN or infinite) in {name}", RETRAIN)
    return found


def write_all(target: IO[bytes], data: bytes) -> None:
    """Write to the end; an unbuffered file may take less at once."""
    view = memoryview(data)
    while view:
        view = view[target.write(view) :]
