"""Disks that fail: ask for `full_disk`, a folder with 64 KiB of space, or `read_only_disk`.

They are real ones (tmpfs) where the tests may mount, as root in a container with the right; elsewhere the same
refusals come from a file size limit and from a folder's mode.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SPACE_BYTES = 64 * 1024


def mounted(folder: Path, options: str) -> bool:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "full"
    if mounted(folder, f"size={SPACE_BYTES}"):
        yield folder
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPACE_BYTES, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    if mounted(folder, "ro,size=64k"):
        yield folder
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    assert os.getuid() != 0, "root may write everywhere and may not mount here: neither way to refuse is left"
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)
