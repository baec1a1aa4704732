from __future__ import annotations

import pytest

from tests.unit.operator.resources.cases import CASES
from tests.unit.operator.resources.golden import COMMAND, FOLDER, text


@pytest.mark.parametrize("name", CASES)
def test_children__are_golden(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    assert path.exists(), f"write it with: {COMMAND}"
    assert text(CASES[name]) == path.read_text(), f"if this is wanted: {COMMAND}"


def test_golden__every_file_has_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(CASES), f"mend with: {COMMAND}"
