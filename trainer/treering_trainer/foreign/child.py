"""The child's work: one file from standard input, its description to standard output, its tensors to a third file.

Started by `reading` with nothing of the parent's environment. It never names a path.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import IO, Any

from treering_trainer.foreign.confinement import confine, leave_descriptors
from treering_trainer.foreign.contents import Contents, contents_of
from treering_trainer.foreign.formats import open_source
from treering_trainer.foreign.refusal import DAMAGED, LARGEST_FILE_BYTES, RefusedError
from treering_trainer.foreign.writing import check_numbers, write_all, write_tensors

ROOM_BYTES = 2 << 30
"""Address space beside the file's own size: Python, numpy and a large pickle's objects."""
CPU_S = 240


def main(tensors: int | None) -> None:
    """Read the file and tell of it; a refusal is told in the same way.

    Args:
        tensors: descriptor for the tensors; None leaves them out.
    """
    size_bytes = os.fstat(0).st_size
    warm_up()
    leave_descriptors(() if tensors is None else (tensors,))
    target = None if tensors is None else io.FileIO(tensors, "w", closefd=False)
    with io.FileIO(0, closefd=False) as raw, io.FileIO(1, "w", closefd=False) as answer:
        file = io.BufferedReader(raw)
        standing = confine(
            memory_bytes=ROOM_BYTES + 2 * min(size_bytes, LARGEST_FILE_BYTES),
            cpu_s=CPU_S,
            output_bytes=ROOM_BYTES + 2 * LARGEST_FILE_BYTES,
        )
        write_all(answer, json.dumps({**_answer(file, size_bytes, target), "borders": standing}).encode())


def warm_up() -> None:
    """Have Python load what it loads when it is first needed: later it can open nothing."""
    for name in ("cp437", "latin1", "ascii", "utf-8"):
        "a".encode(name).decode(name)


def _answer(file: IO[bytes], size_bytes: int, target: IO[bytes] | None) -> dict[str, Any]:
    try:
        return {"contents": _read(file, size_bytes, target).description}
    except RefusedError as refusal:
        return {"refusal": {"found": refusal.found, "mend": refusal.mend, "foreign": refusal.foreign}}
    except MemoryError:
        found = f"wants more than {(ROOM_BYTES + 2 * size_bytes) >> 20:,} MiB of memory to be read"
        return {"refusal": {"found": found, "mend": DAMAGED, "foreign": ""}}
    except Exception as error:
        found = f"is no checkpoint that can be read ({type(error).__name__}: {str(error)[:120]})"
        return {"refusal": {"found": found, "mend": DAMAGED, "foreign": ""}}


def _read(file: IO[bytes], size_bytes: int, target: IO[bytes] | None) -> Contents:
    source = open_source(file, size_bytes)
    contents = contents_of(source)
    if target is None:
        check_numbers(source, contents.tensors)
    else:
        write_tensors(source, contents.tensors, target, size_bytes)
    return contents


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1] != "-" else None)
