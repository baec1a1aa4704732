from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "treering_api": ROOT / "crds" / "treering_api",
    "treering_operator": ROOT / "operator" / "treering_operator",
    "treering_trainer": ROOT / "trainer" / "treering_trainer",
}
EXTRAS = {"treering_api": (), "treering_operator": ("operator",), "treering_trainer": ("trainer",)}
PARTS_OF = {  # distributions that come with a declared one and are versioned with it
    "botocore": "boto3",
    "markupsafe": "jinja2",
    "pydantic-core": "pydantic",
    "typing-extensions": "pydantic",
    "opencv-python-headless": "ultralytics",
}
LONGEST_FUNCTION = 60
LONGEST_FILE = 350


def sources(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(root / folder) for folder in ("crds", "operator", "trainer"))
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports__keep_the_houses_rules() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("trainer/treering_trainer/store/odd.py", "import treering_trainer.dataset", "imports go down only"),
        ("trainer/treering_trainer/odd.py", "import json", "imports go down only"),
        ("trainer/treering_trainer/dataset/odd.py", "import treering_operator", "never meet"),
        ("operator/treering_operator/odd.py", "import treering_trainer.records", "never meet"),
        ("crds/treering_api/odd.py", "import treering_trainer.records", "never meet"),
        ("trainer/treering_trainer/engine/odd.py", "import ultralytics.nn.tasks", "Only the facade"),
        ("trainer/treering_trainer/store/odd.py", "import botocore.session", "Only store.s3"),
        ("trainer/treering_trainer/policies/freeze.py", "import treering_trainer.policies.replay", "Policies never"),
        ("crds/treering_api/odd.py", "import urllib.request", "words only"),
        ("operator/treering_operator/odd.py", "import torch", "carries no tensors"),
        ("trainer/treering_trainer/progress/odd.py", "import kopf", "never talks to a cluster"),
    ],
    ids=lambda value: value if value.startswith("import") else None,
)
def test_imports__a_breach_is_found(tmp_path: Path, module: str, line: str, contract: str) -> None:
    for package in PACKAGES.values():
        shutil.copytree(package, tmp_path / package.relative_to(ROOT), ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stderr
    assert re.search(rf"{contract}.* BROKEN", done.stdout), done.stdout


def test_operator_folder__does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import operator; print(operator.__file__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not Path(done.stdout.strip()).is_relative_to(ROOT / "operator")


def test_tests__are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules__are_named_for_what_they_hold(package: str) -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [path for path in sources(package) if drawers & set(path.relative_to(ROOT).with_suffix("").parts)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules__say_their_job_and_stay_short(package: str) -> None:
    for path in sources(package):
        text = path.read_text()
        tree = ast.parse(text)
        assert ast.get_docstring(tree), f"{path} has no docstring"
        assert len(text.splitlines()) <= LONGEST_FILE, f"{path} is too long: part it"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= LONGEST_FUNCTION, f"{path}:{node.lineno} {node.name} has {lines} lines: part it"


@pytest.mark.parametrize("package", PACKAGES)
def test_imports__are_declared_in_the_extra(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"]]
    for extra in EXTRAS[package]:
        texts += project["optional-dependencies"][extra]
    declared = {normalised(Requirement(text).name) for text in texts}
    declared |= {part for part, whole in PARTS_OF.items() if whole in declared}
    owners = packages_distributions()
    foreign = {name for path in sources(package) for name in foreign_imports(path)}
    undeclared = {name for name in foreign if not {normalised(owner) for owner in owners.get(name, ())} & declared}
    assert undeclared == set()


@pytest.mark.parametrize(
    ("package", "blocked"),
    [
        ("treering_api", "torch ultralytics numpy boto3 kopf kubernetes"),
        ("treering_operator", "torch ultralytics numpy boto3 PIL treering_trainer"),
        ("treering_trainer", "kopf kubernetes treering_operator"),
    ],
)
def test_package__imports_without_what_its_image_lacks(package: str, blocked: str) -> None:
    program = """
import importlib, pkgutil, sys
package, *blocked = sys.argv[1:]
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not in this image")
sys.meta_path.insert(0, Absent())
root = importlib.import_module(package)
names = [found.name for found in pkgutil.walk_packages(root.__path__, package + ".") if "__main__" not in found.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, package, *blocked.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    modules = [path for path in sources(package) if path.name != "__main__.py"]
    assert int(done.stdout.split()[-1]) == len(modules) - 1  # the package itself is no part of the walk


def test_wheel__holds_the_three_packages_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("treering-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert b"License-Expression: AGPL-3.0-or-later" in archive.read(metadata)
    expected = {
        f"{package.name}/{path.relative_to(package).as_posix()}"
        for package in PACKAGES.values()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == expected
    assert any(name.startswith("treering_trainer/report/templates/") for name in inside)


def foreign_imports(path: Path) -> Iterator[str]:
    """Top-level names of imported modules: not ours, not the standard library's, not for type checkers only."""
    tree = ast.parse(path.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        else:
            continue
        tops = {name.partition(".")[0] for name in names}
        yield from tops - set(sys.stdlib_module_names) - set(PACKAGES)


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
