"""Writes the golden objects anew: `python -m tests.unit.operator.resources.golden`. Read what changed, then commit."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.unit.operator.resources.cases import CASES, Case

FOLDER = Path(__file__).parents[3] / "golden" / "operator"
COMMAND = ".venv/bin/python -m tests.unit.operator.resources.golden"


def text(case: Case) -> str:
    """A case's objects; the digest, which any new field of a spec changes, is left out of them."""
    return _text(case).replace(case.children().work.digest, "d1" * 32)


def _text(case: Case) -> str:
    return yaml.safe_dump_all(case.objects(), sort_keys=False, width=120, allow_unicode=True)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in {path.stem for path in FOLDER.glob("*.yaml")} - set(CASES):
        (FOLDER / f"{stale}.yaml").unlink()
    for name, case in CASES.items():
        (FOLDER / f"{name}.yaml").write_text(text(case))


if __name__ == "__main__":
    main()
