from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LOCKS = {
    "dev": ("trainer", "operator", "dev"),
    "trainer": ("trainer",),
    "operator": ("operator",),
    "bootstrap": (),
}
# In parts, because this file is searched, too.
HOSTS = (
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("npm", "js.org"),
    ("npm", "js.com"),
    ("crates", ".io"),
    ("proxy.go", "lang.org"),
    ("repo.maven.", "apache.org"),
    ("repo1.", "maven.org"),
    ("deb.", "debian.org"),
    ("security.", "debian.org"),
    ("anaconda", ".org"),
    ("download.", "pytorch.org"),
)
OPTIONS = ("--index" + "-url ", "--extra-index" + "-url ", "--find" + "-links ")


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def entries(name: str) -> list[str]:
    """The requirements of a lock, each with its hashes on one line, comments left out."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return re.sub(r" *\\\n *", " ", text).splitlines()


def pins(name: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for entry in entries(name):
        requirement = Requirement(entry.split(" --hash=")[0])
        found.setdefault(requirement.name, []).append(requirement)
    return found


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    texts = project["dependencies"] + [text for extra in extras for text in optional[extra]] if extras else []
    return [Requirement(text) for text in texts]


def test_tracked_files__name_no_registry() -> None:
    hosts = re.compile("|".join(re.escape("".join(parts)) for parts in HOSTS) + "|" + "|".join(OPTIONS))
    files = tracked_files()
    assert ROOT / "pyproject.toml" in files
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in files
        if (match := hosts.search(path.read_bytes().decode("utf-8", errors="replace")))
    ]
    assert not found


@pytest.mark.parametrize("name", LOCKS)
def test_lock__every_requirement_is_pinned_with_hashes(name: str) -> None:
    found = entries(name)
    assert found
    hashed = re.compile(r"^[a-z0-9][a-z0-9._-]*==\S+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+$")
    assert [entry for entry in found if not hashed.match(entry)] == []


@pytest.mark.parametrize(("name", "extras"), LOCKS.items(), ids=list(LOCKS))
def test_lock__has_what_the_project_asks_for(name: str, extras: tuple[str, ...]) -> None:
    locked = pins(name)
    stale = [
        str(wanted)
        for wanted in asked(extras)
        if not any(wanted.specifier.contains(version(pin), prereleases=True) for pin in locked.get(key(wanted), []))
    ]
    assert not stale, "mend with: make lock"


@pytest.mark.parametrize("name", ["trainer", "operator", "bootstrap"])
def test_lock__agrees_with_the_one_that_is_tested(name: str) -> None:
    tested = pins("dev")
    assert {package: versions for package, versions in pins(name).items() if versions != tested.get(package)} == {}


def test_lock__images_stay_apart() -> None:
    assert not {"kopf", "kubernetes"} & set(pins("trainer"))
    assert not {"torch", "ultralytics", "numpy", "boto3"} & set(pins("operator"))


def test_lock__opencv_needs_no_desktop() -> None:
    for name in ("dev", "trainer"):
        assert "opencv-python" not in pins(name)
        assert "opencv-python-headless" in pins(name)


def key(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version
