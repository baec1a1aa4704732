"""How long the steps of a slow test take: printed as they end, and together at the end of the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_taken_s: list[tuple[str, float]] = []


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Measure one step."""
    started_s = time.monotonic()
    try:
        yield
    finally:
        _taken_s.append((step, time.monotonic() - started_s))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _taken_s:
        terminalreporter.section("how long the steps took")
    for step, taken_s in _taken_s:
        terminalreporter.write_line(f"{taken_s:8.1f} s  {step}")
