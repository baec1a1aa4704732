"""Processes that train: each in one of its own, so that none inherits another's memory, threads or random state."""

from __future__ import annotations

import hashlib
import importlib.util
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TextIO

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0


class FailedError(RuntimeError):
    """A process ended badly."""


@dataclass(frozen=True)
class Ended:
    """What a process gave and took."""

    out: str
    wall_s: float
    cpu_s: float


def call(*words: str | Path, heard: bool = True) -> Ended:
    """Run `python -m ...` to its end; its standard error goes to ours, and unless it is `heard` all that it says.

    Raises:
        FailedError: it failed; its own words stand above.
    """
    start_s, before_s = time.monotonic(), _children_s()
    command = [sys.executable, "-m", *map(str, words)]
    listener: int | TextIO = subprocess.PIPE if heard else sys.stderr
    process = subprocess.Popen(command, cwd=ROOT, stdout=listener, text=True)
    try:
        out = process.communicate()[0] or ""
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        raise FailedError(f"python {' '.join(command[1:])} ended with {process.returncode}\n{out}".rstrip())
    return Ended(out, time.monotonic() - start_s, _children_s() - before_s)


@cache
def code_digest() -> str:
    """SHA-256 over the sources of Treering as they stand, hexadecimal: lines of other sources are other lines."""
    digest = hashlib.sha256()
    for package in ("treering_api", "treering_trainer"):
        found = importlib.util.find_spec(package)
        assert found is not None and found.origin is not None
        for path in sorted(Path(found.origin).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def ends_with_its_children() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl-C does: what trains is asked to stop, and keeps what it has."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
