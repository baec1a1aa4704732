"""Writes the generated files: `python -m treering_api.generate`, or with `--check` only says whether they are fresh.

The one module of this package that touches files; `make generate`, CI and a test call it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from treering_api.crd import PLURAL, crd
from treering_api.reference import api_page, exit_codes_page, metrics_page
from treering_api.resource import GROUP

ROOT = Path(__file__).resolve().parents[2]
_CRD_NOTE = "# Written by `make generate` from crds/treering_api; edit there.\n"


def rendered() -> dict[str, str]:
    """Every generated file: path from the repository's root, and its text."""
    return {
        f"crds/{GROUP}_{PLURAL}.yaml": _CRD_NOTE
        + yaml.safe_dump(crd(), sort_keys=False, width=110, allow_unicode=True),
        "docs/reference/api.md": api_page(),
        "docs/reference/metrics.md": metrics_page(),
        "docs/reference/exit-codes.md": exit_codes_page(),
    }


def stale(root: Path) -> list[str]:
    """Paths of the generated files that are missing or differ from what would be written."""
    return [path for path, text in rendered().items() if _read(root / path) != text]


def write(root: Path) -> None:
    """Write every generated file."""
    for path, text in rendered().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or check; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m treering_api.generate", description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not fresh")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's root")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.root)
        return 0
    old = stale(options.root)
    if old:
        sys.stderr.write(f"Not fresh: {', '.join(old)}. Run `make generate` and commit what it writes.\n")
    return 1 if old else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())
