# ruff: noqa: RUF001 - pages use true minus signs and dashes
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.report.page_text import Page
from tests.unit.report.sample_rounds import (
    AFTER,
    HOSTILE,
    draw_scene,
    first_round,
    nasty_round,
    rejected_round,
    round_record,
    summary,
)
from treering_trainer.line import REPORT, folder_name
from treering_trainer.report import page_name, render_line
from treering_trainer.report.history import HEAT_ROUNDS


@pytest.fixture
def read() -> Page:
    records = [first_round(), round_record(), rejected_round()]
    return Page(render_line("cards", [summary(record) for record in records], records))


def test_page__is_well_formed_and_loads_nothing(read: Page) -> None:
    assert read.open_tags == []
    assert read.loads() == []
    assert "http" not in read.source.replace("http-equiv", "")


def test_rounds__newest_first_with_verdicts_and_links(read: Page) -> None:
    rounds = read.rows["sortable rounds"][1:]
    assert [(row[0], row[1], row[5]) for row in rounds] == [
        ("3", "rejected", "−6.5"),
        ("2", "published", "−1.0"),
        ("1", "published", "–"),
    ]
    assert [link["href"] for link in read.elements("a")] == [page_name(3, 1), page_name(2, 1), page_name(1, 1)]
    assert page_name(2, 1) == "rounds/0002/attempt-1/report.html"


def test_page_name__is_where_the_line_keeps_it() -> None:
    assert page_name(2, 3) == f"{folder_name(2, 3)}/{REPORT}"


def test_rounds__without_a_record_have_no_link() -> None:
    rounds = [summary(first_round()), summary(round_record())]
    links = Page(render_line("cards", rounds, [round_record()])).elements("a")
    assert [link["href"] for link in links] == [page_name(2, 1)]


def test_verdict__names_the_newest_published_round(read: Page) -> None:
    assert "The model of round 2 is the newest that was published" in read.text
    assert "mAP50 0.859 over all classes" in read.text


def test_verdict__nothing_published() -> None:
    record = rejected_round()
    assert "No round has been published yet" in Page(render_line("cards", [summary(record)], [record])).text


def test_heat__every_class_by_round_with_its_change(read: Page) -> None:
    assert read.rows["classes"][0] == ["Class", "1", "2", "3 ✗"]
    assert read.row("classes", "king") == ["king", "0.839", "0.803 −3.6", "0.617 −18.6"]
    assert read.row("classes", "jack") == ["jack", "–", "0.785", "0.785 ±0.0"]


def test_heat__keeps_to_the_newest_rounds() -> None:
    records = [round_record(number=number, before=AFTER) for number in range(1, HEAT_ROUNDS + 6)]
    read = Page(render_line("cards", [summary(record) for record in records], records))
    assert len(read.rows["classes"][0]) == HEAT_ROUNDS + 1
    assert "5 older ones left out" in read.text


def test_charts__scores_and_forgetting(read: Page) -> None:
    charts = [svg["aria-label"] for svg in read.elements("svg") if svg.get("class") == "chart"]
    assert charts == ["mAP50 over the rounds", "Forgetting per round, in points"]


def test_empty_line__says_so() -> None:
    read = Page(render_line("cards", [], []))
    assert "No round has run yet" in read.text
    assert read.open_tags == []


def test_hostile_names__stay_text(tmp_path: Path) -> None:
    record = nasty_round(draw_scene(tmp_path / "scene.jpg"))
    read = Page(render_line(HOSTILE, [summary(record)], [record]))
    assert HOSTILE in read.text
    assert len(read.elements("script")) == 1
    assert read.loads() == []
