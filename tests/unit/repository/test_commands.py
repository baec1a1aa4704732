from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TEST_PROGRAMS = ("git", "chromium", "etcd", "promtool", "openssl")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # `make test` tells the makes below it that they are not the first
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


def programs(folder: Path, **scripts: str) -> str:
    """A PATH that has the given scripts and, besides them, only the plain tools."""
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    for name in {"bash", "dirname", "id", "cat", "env"} - set(scripts):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return str(folder)


def test_make__lists_every_task() -> None:
    shown = run("make").stdout.splitlines()
    listed = [line.split()[1] for line in shown]
    wanted = "help venv setup demo test e2e lint format generate kustomize lock bench clean"
    assert sorted(listed) == sorted(wanted.split())
    assert all(len(line.split()) > 3 for line in shown)


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        pytest.param({}, "apt-get install python3 ", id="no-python"),
        pytest.param({"python3": '[ "$1" = -V ] && echo Python 3.9.2; exit 1'}, "Python 3.9.2", id="too-old"),
        pytest.param(
            {"python3": 'case "$2" in *ensurepip*) exit 1;; *minor*) echo python3.12-venv;; esac'},
            "apt-get install python3.12-venv",
            id="no-ensurepip",
        ),
    ],
)
def test_venv__names_what_is_missing(tmp_path: Path, scripts: dict[str, str], said: str) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "scripts", repository / "scripts")
    path = programs(tmp_path, id="echo 1000", **scripts)
    done = run("/bin/bash", str(repository / "scripts" / "venv.sh"), PATH=path, PYTHON="python3")
    assert done.returncode == 1
    assert said in done.stderr
    assert [entry.name for entry in repository.iterdir()] == ["scripts"]


def test_system__says_loudly_what_is_missing(tmp_path: Path) -> None:
    done = run("/bin/bash", "scripts/system.sh", PATH=programs(tmp_path, git=":", id="echo 1000"))
    assert done.returncode == 0
    assert "MISSING: chromium" in done.stderr
    assert "apt-get install chromium" in done.stderr


def test_system__is_quiet_when_all_is_there(tmp_path: Path) -> None:
    done = run("/bin/bash", "scripts/system.sh", PATH=programs(tmp_path, **dict.fromkeys(TEST_PROGRAMS, ":")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_cluster_tools__say_what_is_missing(tmp_path: Path) -> None:
    path = programs(tmp_path, **{name: f'exec /usr/bin/{name} "$@"' for name in ("sort", "sha256sum", "cut", "mkdir")})
    done = run("/bin/bash", "scripts/cluster_tools.sh", "kubectl", PATH=path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "MISSING: go, which builds kubectl" in done.stderr


def test_cluster_tools__knows_no_other_programs() -> None:
    done = run("/bin/bash", "scripts/cluster_tools.sh", "minikube")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'minikube' is none of kube-apiserver" in done.stderr


def test_pre_commit__fetches_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert {hook["language"] for repo in config["repos"] for hook in repo["hooks"]} == {"system"}


def test_ci__runs_the_readmes_test_command() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    order = [text.index(step) for step in ("make lint", "generate --check", "make test")]
    assert order == sorted(order)
    assert "make test" in (ROOT / "README.md").read_text()


def test_contributing__map_leads_to_places_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## I want to change X")[2].partition("\n## ")[0]
    houses = {"api/": "crds/treering_api/", "trainer/": "trainer/treering_trainer/"}
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    named = {word for row in rows for quoted in re.findall(r"`([^`]+)`", row) for word in quoted.split() if "/" in word}
    missing = []
    for name in sorted(named):
        short = next((prefix for prefix in houses if name.startswith(prefix)), "")
        if not (ROOT / (houses.get(short, "") + name.removeprefix(short))).exists():
            missing.append(name)
    assert not missing
