"""Free memory: the machine's, or what the container's limit leaves of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from treering_trainer.engine.machine import free_memory_bytes


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "3000\n", "memory.current": "1000\n"}, 2000),
        ({"memory/memory.limit_in_bytes": "500", "memory/memory.usage_in_bytes": "100"}, 400),
        ({"memory.max": "3000", "memory.current": "9000"}, 0),
    ],
    ids=["cgroup-2", "cgroup-1", "used-up"],
)
def test_free_memory_bytes__under_a_limit(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory_bytes(tmp_path) == expected


def test_free_memory_bytes__without_a_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory_bytes(tmp_path) > 10_000_000
