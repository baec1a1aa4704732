from __future__ import annotations

import re
from pathlib import Path

import pytest

from treering_api.exit_codes import ExitCode
from treering_api.generate import ROOT, main, rendered, stale
from treering_api.metrics import CATALOGUE


def test_generated_files__are_fresh() -> None:
    assert stale(ROOT) == [], "run `make generate`"


def test_main__check_names_the_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0
    page = tmp_path / "docs" / "reference" / "api.md"
    page.write_text(page.read_text() + "edited by hand\n")
    assert main(["--check", "--root", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "docs/reference/api.md" in message
    assert "make generate" in message


def test_api_page__every_link_has_its_heading() -> None:
    page = rendered()["docs/reference/api.md"]
    headings = re.findall(r"^#+ `(.*)`$", page, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_-]", "", heading.lower()) for heading in headings}
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(links) > 20
    assert set(links) <= anchors


@pytest.mark.parametrize(
    "row",
    [
        "| `ratio` | a number | `0.1` | 0 to 1 |",
        '| `epochs` | a whole number or auto | `"auto"` | 1 to 10000 |',
        "| `learningRate` | a number | *absent* | above 0, at most 1 |",
        "| `base` | a text | **required** | at most 512 characters |",
        '| `onReject` | one of keep, hold, retrainFull | `"keep"` |  |',
    ],
)
def test_api_page__rows_say_type_default_and_range(row: str) -> None:
    assert row in rendered()["docs/reference/api.md"]


def test_metrics_page__has_every_metric() -> None:
    page = rendered()["docs/reference/metrics.md"]
    assert [metric.name for metric in CATALOGUE if f"`{metric.name}`" not in page] == []


def test_exit_codes_page__has_every_code() -> None:
    page = rendered()["docs/reference/exit-codes.md"]
    assert [code.name for code in ExitCode if f"| {code.value} | {code.name} | `{code.reason}` |" not in page] == []
