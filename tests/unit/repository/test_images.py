from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TARGETS = ("operator", "trainer")
PLAIN = ("bash", "cat", "dirname", "id", "sed")


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """The Dockerfile's stages by name: what each is made from, and its instructions as (word, rest)."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    instructions: list[tuple[str, str]] = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            instructions = []
            found[name] = (base, instructions)
        else:
            instructions.append((word, rest))
    return found


def test_dockerfile__every_stage_has_the_one_base() -> None:
    bases = {name: base for name, (base, _) in stages().items()}
    assert set(TARGETS) < set(bases)
    assert {base for base in bases.values() if base not in bases} == {"${BASE}"}


@pytest.mark.parametrize("target", TARGETS)
def test_dockerfile__targets_run_as_nobody_and_prove_themselves_last(target: str) -> None:
    instructions = stages()[target][1]
    assert ("USER", "65532:65532") in instructions
    word, proof = instructions[-1]
    assert word == "RUN"
    assert "find_spec" in proof
    assert "--help" in proof


@pytest.mark.parametrize("target", TARGETS)
def test_dockerfile__own_code_is_the_last_layer_that_has_files(target: str) -> None:
    words = [f"{word} {rest}" for word, rest in stages()[target][1] if word in ("COPY", "ADD")]
    assert words[-1] == f"COPY --from={target}-code /opt/treering /opt/treering"


def test_dockerfile__what_is_fetched_is_checked_against_its_hash() -> None:
    runs = [rest for _, instructions in stages().values() for word, rest in instructions if word == "RUN"]
    fetching = [run for run in runs if re.search(r"pip (install|sync)", run) and "--offline" not in run]
    assert len(fetching) == 3
    assert all(run.count("--require-hashes") == len(re.findall(r"pip (?:install|sync)", run)) for run in fetching)


def images(*words: str, path: str, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "scripts/images.sh", *words],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_images__say_what_is_missing(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PLAIN:
        (programs / name).symlink_to(f"/usr/bin/{name}")
    done = images(str(tmp_path / "out"), path=str(programs), cache=tmp_path / "cache")
    assert done.returncode == 1
    assert "MISSING: buildah" in done.stderr
    assert "apt-get install buildah" in done.stderr


def test_images__need_a_folder(tmp_path: Path) -> None:
    done = images(path=os.environ["PATH"], cache=tmp_path)
    assert done.returncode == 1
    assert "usage: scripts/images.sh OUTDIR" in done.stderr


def test_images__a_full_disk_is_said_before_the_archive_is_written(tmp_path: Path) -> None:
    programs, cache = tmp_path / "bin", tmp_path / "cache"
    programs.mkdir()
    answers = {"buildah": "sha256:0", "cc": "", "df": "Avail\n3G", "id": "0"}
    for name, answer in answers.items():
        (programs / name).write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
        (programs / name).chmod(0o755)
    done = images(str(tmp_path / "out"), "pause", path=f"{programs}:{os.environ['PATH']}", cache=cache)
    assert done.returncode == 1
    assert f"{cache}/treering/images: 3 GB of disk are free, an archive wants 10" in done.stderr
    assert "a cache and may go" in done.stderr
    assert not (tmp_path / "out").exists()
