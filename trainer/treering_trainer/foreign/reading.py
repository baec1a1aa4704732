"""The parent's side of reading a foreign model file: a process of its own, and what it says, checked.

Called by `yolo` for `model.base`, by `treering inspect` and by `treering convert`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from treering_api import BadSpecError
from treering_trainer.foreign.model_file import ModelFile

FIELD = "spec.model.base"
WALL_S = 300.0
LARGEST_ANSWER_BYTES = 64 << 20
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from treering_trainer.foreign.child import main; "
    "main(None if sys.argv[1] == '-' else int(sys.argv[1]))"
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
"""All that the child gets of an environment: no credentials, no proxies."""
OLD_YOLO = ("models.", "utils.")
"""Where the original YOLOv5, v7 and v9 keep their classes."""


class _Refused(BaseModel):
    model_config = ConfigDict(extra="forbid")

    found: str
    mend: str
    foreign: str


def read_model_file(path: Path, *, shown_as: str, field: str = FIELD) -> ModelFile:
    """Describe a model file, with every number looked at and none kept.

    Args:
        shown_as: how the user named it, for messages.
        field: what names it, for messages.

    Raises:
        BadSpecError: it is no model file, or one that would run code, or damaged; says what it holds.
    """
    with _opened(path, field, shown_as) as file:
        return _read(file, None, path, shown_as, field)


@contextmanager
def opened(path: Path, *, shown_as: str, field: str = FIELD) -> Iterator[tuple[ModelFile, Path]]:
    """The description, and a safetensors file with the tensors of the model that counts, gone afterwards.

    Raises:
        BadSpecError: as `read_model_file`.
    """
    with _opened(path, field, shown_as) as file, tempfile.TemporaryDirectory(prefix="treering-") as folder:
        tensors = Path(folder) / "tensors.safetensors"
        with tensors.open("wb") as target:
            description = _read(file, target, path, shown_as, field)
        yield description, tensors


@contextmanager
def _opened(path: Path, field: str, shown_as: str) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        found = (
            "there is no such file" if isinstance(error, FileNotFoundError) else f"it can't be read: {error.strerror}"
        )
        raise BadSpecError(field, f"{shown_as}: {found}", "Give the path of a model file.") from error
    with file:
        yield file


def _read(file: IO[bytes], target: IO[bytes] | None, path: Path, shown_as: str, field: str) -> ModelFile:
    answer = _ask(file, target, shown_as, field)
    if "refusal" in answer:
        refused = _Refused.model_validate(answer["refusal"])
        raise BadSpecError(field, f"{shown_as} {refused.found}", refused.mend)
    described = {**answer["contents"], "borders": answer["borders"]}
    return ModelFile.model_validate({**described, "size_bytes": path.stat().st_size, "path": path})


def _ask(file: IO[bytes], target: IO[bytes] | None, shown_as: str, field: str) -> dict[str, Any]:
    """What the child says of the file."""
    kept = () if target is None else (target.fileno(),)
    with tempfile.TemporaryFile(prefix="treering-") as answer:
        command = [sys.executable, "-I", "-c", PROGRAM, str(kept[0]) if kept else "-", *filter(None, sys.path)]
        try:
            done = subprocess.run(
                command,
                stdin=file,
                stdout=answer,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                pass_fds=kept,
                cwd="/",
                timeout=WALL_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _unread(field, shown_as, f"reading it took more than {WALL_S:.0f} s") from error
        answer.seek(0)
        return _parse(answer.read(LARGEST_ANSWER_BYTES), done.returncode, done.stderr, shown_as, field)


def _parse(text: bytes, code: int, said: bytes, shown_as: str, field: str) -> dict[str, Any]:
    import json

    try:
        answer = json.loads(text)
        if code == 0 and isinstance(answer, dict):
            if "contents" in answer:
                ModelFile.model_validate({**answer["contents"], "borders": answer["borders"]})
            return answer
    except (ValueError, KeyError, ValidationError):
        pass
    lines = said.decode("utf-8", "replace").strip().splitlines()
    why = "".join(letter for letter in (lines or [f"exit code {code}"])[-1] if letter.isprintable())[:160]
    raise _unread(field, shown_as, why)


def _unread(field: str, shown_as: str, why: str) -> BadSpecError:
    return BadSpecError(
        field,
        f"{shown_as} is no checkpoint that can be read ({why})",
        "Give a .pt file saved by ultralytics, complete and unchanged.",
    )
