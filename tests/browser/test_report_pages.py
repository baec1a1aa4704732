# ruff: noqa: RUF001 - pages use true minus signs and dashes
"""The report in a real browser: no complaint on the console, sorting and filtering work.

Needs Debian's `chromium`. Without it these tests fail where CI is true, and are skipped elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.report.page_text import Page
from tests.unit.report.sample_rounds import (
    draw_scene,
    first_round,
    nasty_round,
    rejected_round,
    round_record,
    scene,
    summary,
)
from treering_trainer.records import RoundRecord
from treering_trainer.report import render_line, render_round

TIMEOUT_S = 90
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        why = "NO BROWSER: the report was not looked at. Install Debian's chromium: apt-get install -y chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


@pytest.fixture
def record(tmp_path: Path) -> RoundRecord:
    picture = draw_scene(tmp_path / "scene.jpg")
    worst = [scene(picture, "kings.jpg", 0.2, ["king"]), scene(tmp_path / "gone.jpg", "nines.jpg", 0.3, ["nine"])]
    return round_record(worst=worst)


def browse(chromium: str, folder: Path, source: str) -> tuple[Page, list[str]]:
    """Open a page in a fresh browser; return the page as it is then, and what the console said."""
    file = folder / "page.html"
    file.write_text(source, encoding="utf-8")
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return Page(done.stdout), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def drive(source: str, script: str) -> str:
    """The page with a second script that clicks like a person; the page's policy is told to let just this one run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    allowed = source.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    return allowed.replace("</body>", f"<script>{script}</script></body>")


def column(page: Page, table: str, place: int) -> list[str]:
    return [row[place] for row in page.rows[table][1:]]


@pytest.mark.parametrize("which", ["round", "first", "rejected", "nasty", "line", "empty"])
def test_page__opens_without_complaint(chromium: str, tmp_path: Path, record: RoundRecord, which: str) -> None:
    sources = {
        "round": lambda: render_round(record, lineage=[summary(first_round())]),
        "first": lambda: render_round(first_round(), lineage=[]),
        "rejected": lambda: render_round(rejected_round(), lineage=[summary(record)]),
        "nasty": lambda: render_round(nasty_round(tmp_path / "scene.jpg"), lineage=[]),
        "line": lambda: render_line("cards", [summary(first_round()), summary(record)], [first_round(), record]),
        "empty": lambda: render_line("cards", [], []),
    }
    page, console = browse(chromium, tmp_path, sources[which]())
    assert console == []
    assert page.text.count("Treering") >= 1
    if which != "empty":
        assert page.elements("button"), "the page's script did not run"


def test_console__would_show_a_blocked_resource(chromium: str, tmp_path: Path, record: RoundRecord) -> None:
    """Proves that the other tests can fail: the page's own policy stops a foreign script, style and picture."""
    foreign = (
        '<script>document.title = "owned"</script><img src="file:///etc/hostname"><link rel="stylesheet" href="x.css">'
    )
    source = render_round(record, lineage=[]).replace("</main>", f"{foreign}</main>")
    page, console = browse(chromium, tmp_path, source)
    assert sum("Content Security Policy" in line for line in console) == 3
    assert "owned" not in page.text


def test_sorting__by_number_and_by_name(chromium: str, tmp_path: Path, record: RoundRecord) -> None:
    press = "document.querySelectorAll('#classes thead button')[{}].click();"
    source = render_round(record, lineage=[])
    plain, _ = browse(chromium, tmp_path, source)
    change, _ = browse(chromium, tmp_path, drive(source, press.format(3) * 2))
    name, console = browse(chromium, tmp_path, drive(source, press.format(0)))
    assert column(plain, "classes", 1) == ["0.918", "0.839", "0.874", "–", "–", "–"]
    assert column(change, "classes", 3) == ["−3.6", "−0.6", "+1.3", "–", "–", "–"]
    assert [cell.split()[0] for cell in column(name, "classes", 0)] == ["ace", "jack", "king", "nine", "queen", "ten"]
    assert console == []


def test_class_link__leaves_the_pictures_of_that_class(chromium: str, tmp_path: Path, record: RoundRecord) -> None:
    source = render_round(record, lineage=[])
    click = "document.querySelector('#classes a[data-show=c5]').click();"
    nine, _ = browse(chromium, tmp_path, drive(source, click))
    back, console = browse(chromium, tmp_path, drive(source, click + "document.querySelector('#show-all').click();"))
    hidden = {figure["data-keys"]: "hidden" in figure for figure in nine.elements("figure") if "data-keys" in figure}
    assert hidden == {"c1 s0": True, "c5 s0": False}
    assert "1 of 2 pictures: nine" in nine.text
    assert not [figure for figure in back.elements("figure") if "hidden" in figure]
    assert console == []
