"""Every example of a use is a spec that this release takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from treering_api import parse

EXAMPLES = Path(__file__).parents[3] / "examples"
USES = ("cases", "export", "merge", "models")
SPECS = sorted(path for use in USES for path in (EXAMPLES / use).glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_example__is_valid_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ") and parse(text, path.name).spec.increments


def test_examples__there_is_one_for_every_use() -> None:
    assert {path.parent.name for path in SPECS} == set(USES)
