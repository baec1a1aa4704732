"""Free memory and processors: the machine's, or what the container's limits leave of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from treering_trainer.engine.machine import available_processors, free_memory_bytes


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


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
    ids=["cgroup-2", "part-of-one", "cgroup-1"],
)
def test_available_processors__under_a_quota(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_processors(tmp_path) == expected


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000"},
        {"cpu.max": "99900000 100000"},
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
    ],
    ids=["no-cgroup", "cgroup-2-unlimited", "more-than-there-are", "cgroup-1-unlimited"],
)
def test_available_processors__without_a_quota(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_processors(tmp_path) == len(os.sched_getaffinity(0))
