"""A tensor as a file describes it: a view on a storage, checked against it before a byte is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from treering_trainer.foreign.refusal import damaged

MOST_DIMENSIONS = 8
LARGEST_SIDE = 1 << 40

STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
"""torch's storage classes, by the names that safetensors gives their numbers."""

ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "U64": 8,
    "I32": 4,
    "U32": 4,
    "I16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
EXPONENTS = {"F64": 0x7FF0000000000000, "F32": 0x7F800000, "F16": 0x7C00, "BF16": 0x7F80}
"""Bits that are all set where a float is infinite or no number."""


@dataclass(frozen=True)
class StorageType:
    """What `torch.FloatStorage` stands for."""

    dtype: str


@dataclass(frozen=True)
class StorageRef:
    """Numbers that lie in the file under a key."""

    dtype: str
    key: str
    numbers: int

    @property
    def size_bytes(self) -> int:
        """Bytes in the file."""
        return self.numbers * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, eq=False)
class TensorRecord:
    """A view on a storage; `shape` and `stride` count numbers, as in torch."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """A pickle may hang attributes onto a tensor; none of them is of use."""

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        count = 1
        for side in self.shape:
            count *= side
        return count

    @property
    def size_bytes(self) -> int:
        """Bytes when written densely."""
        return self.numbers * ITEM_BYTES[self.storage.dtype]

    @property
    def dense(self) -> bool:
        """Whether its numbers lie one after the other, in the order of its shape."""
        expected = 1
        for side, step in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if side != 1 and step != expected:
                return False
            expected *= side
        return True


def make_record(storage: object, offset: object, shape: object, stride: object) -> TensorRecord:
    """A view that lies inside its storage.

    Raises:
        RefusedError: it does not, or is none.
    """
    if not isinstance(storage, StorageRef):
        raise damaged("a tensor has no storage")
    sides, steps = _whole_numbers(shape), _whole_numbers(stride)
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0 or len(sides) != len(steps):
        raise damaged(f"a tensor's shape {_shown(shape)}, stride {_shown(stride)} and offset do not fit together")
    record = TensorRecord(storage, offset, sides, steps)
    last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    # A stride of 0 makes many numbers of one: no model does that, and a small file would fill the memory.
    if record.numbers > storage.numbers or (record.numbers and last >= storage.numbers):
        raise damaged(f"a tensor of shape {_shown(sides)} reaches beyond its {storage.numbers} numbers")
    return record


def _whole_numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) > MOST_DIMENSIONS:
        raise damaged(f"a tensor's shape or stride is {_shown(value)}")
    for side in value:
        if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side <= LARGEST_SIDE:
            raise damaged(f"a tensor's shape or stride is {_shown(value)}")
    return tuple(value)


def _shown(value: object) -> str:
    if isinstance(value, tuple | list) and len(value) <= MOST_DIMENSIONS:
        return "(" + ", ".join(str(side) if isinstance(side, int) else "?" for side in value) + ")"
    return f"a {type(value).__name__}"
