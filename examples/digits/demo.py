"""`make demo`: grows a small line from handwritten digits, through a first training and two more deliveries.

Drives the same command line that a user types, one process per call, and changes the line's spec between the calls as
a user would: by appending the next delivery. Starts anew each time; everything lies under `--out`.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from make_scenes import DELIVERIES, make_scenes

TEMPLATE = Path(__file__).with_name("line.yaml")
PARTS = ("deliveries", "store", "work", "line.yaml")  # what the demo makes, and so may remove, in its folder


def write_spec(out: Path, deliveries: int) -> Path:
    """Write the line's spec as it stands when so many deliveries have come; returns where it lies."""
    spec: dict[str, Any] = yaml.safe_load(Template(TEMPLATE.read_text()).substitute(WORK=out.as_posix()))
    spec["spec"]["increments"] = spec["spec"]["increments"][:deliveries]
    if deliveries > 1:
        del spec["spec"]["training"]["epochs"]
    path = out / "line.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def clear(out: Path) -> None:
    """Remove what an earlier demo left in the folder, and nothing else."""
    for path in (out / part for part in PARTS):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def grow(out: Path) -> None:
    """Run the line once for each delivery, then show its history; ends the process where a call fails."""
    for number, name in enumerate(DELIVERIES, start=1):
        spec = write_spec(out, number)
        _headline(f"Delivery {number} of {len(DELIVERIES)}: {name}, appended to spec.increments")
        _treering("run", spec, "--workdir", out / "work")
    _headline("The line's history")
    _treering("history", spec)


def find_report(out: Path) -> Path:
    """The line's page: of all pages, the one that lies highest.

    Raises:
        FileNotFoundError: when no round left a page.
    """
    pages = sorted((out / "store").rglob("*.html"), key=lambda path: (len(path.parts), path))
    if not pages:
        raise FileNotFoundError(f"no report under {out / 'store'}")
    return pages[0]


def _treering(*words: str | Path) -> None:
    call = [str(word) for word in words]
    print(f"$ treering {shlex.join(call)}\n", flush=True)
    code = subprocess.run([sys.executable, "-m", "treering_trainer", *call], check=False).returncode
    if code:
        print(f"\nThe demo stopped: treering {call[0]} ended with exit code {code}, its reason stands above.")
        raise SystemExit(code)


def _headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line, compose the pictures, grow the line, say where the report is."""
    parser = argparse.ArgumentParser(description="Grow a small line from handwritten digits, on this machine's CPU.")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder to work in (default: out/demo)")
    parser.add_argument("--seed", type=int, default=0, help="of the pictures (default: 0)")
    arguments = parser.parse_args(words)
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    clear(out)
    _headline("Composing pictures of handwritten digits: three deliveries and a hold-out")
    make_scenes(out / "deliveries", seed=arguments.seed)
    print(f"They lie in {out / 'deliveries'}")
    grow(out)
    print(f"\nThe report, a page for any browser: {find_report(out)}")


if __name__ == "__main__":
    main()
