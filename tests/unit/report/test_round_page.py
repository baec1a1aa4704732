# ruff: noqa: RUF001 - pages use true minus signs and dashes
from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.report.page_text import Page
from tests.unit.report.sample_rounds import (
    HOSTILE,
    draw_scene,
    first_round,
    nasty_round,
    rejected_round,
    round_record,
    scene,
    summary,
)
from treering_trainer.records import RoundRecord, Threshold
from treering_trainer.report import render_round

MAX_BYTES = 3_000_000


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw_scene(tmp_path / "scene.jpg")


@pytest.fixture(params=["realistic", "first", "rejected", "nasty", "no_epochs"])
def record(request: pytest.FixtureRequest, picture: Path) -> RoundRecord:
    worst = [scene(picture, "scene.jpg", 0.2)]
    rounds: dict[str, Callable[[], RoundRecord]] = {
        "realistic": lambda: round_record(worst=worst),
        "first": first_round,
        "rejected": lambda: rejected_round(worst),
        "nasty": lambda: nasty_round(picture),
        "no_epochs": lambda: round_record(epoch_count=0, findings=()),
    }
    return rounds[request.param]()


def page(record: RoundRecord, *earlier: RoundRecord) -> Page:
    return Page(render_round(record, lineage=[summary(one) for one in earlier]))


def test_page__is_well_formed_and_loads_nothing(record: RoundRecord) -> None:
    read = page(record, record)
    assert read.open_tags == []
    assert read.loads() == []
    assert len(read.source.encode()) < MAX_BYTES


def test_page__forbids_loads_and_foreign_scripts(record: RoundRecord) -> None:
    read = page(record)
    policy = next(meta["content"] for meta in read.elements("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256("".join(read.scripts).encode()).digest()).decode()
    assert len(read.elements("script")) == 1
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")


def test_page__has_unique_ids_and_targets(record: RoundRecord) -> None:
    read = page(record)
    ids = [values["id"] for _, values in read.tags if "id" in values]
    assert len(ids) == len(set(ids))
    targets = {values["href"][1:] for _, values in read.tags if values.get("href", "").startswith("#")}
    assert targets <= set(ids)


def test_page__is_the_same_for_the_same_record(record: RoundRecord) -> None:
    assert render_round(record, lineage=[]) == render_round(record, lineage=[])


def test_hostile_names__stay_text(picture: Path) -> None:
    read = page(nasty_round(picture))
    assert HOSTILE in read.text
    assert "<img src=x onerror=alert(1)>" in read.text
    assert "{{ 7 * 7 }}" in read.text
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in read.elements("img"))
    assert not [values for _, values in read.tags if any(name.startswith("on") for name in values)]


def test_realistic_page__names_no_network_address() -> None:
    source = render_round(round_record(), lineage=[])
    assert "http:" not in source
    assert "https:" not in source
    assert "url(" not in source


def test_verdict__published_says_what_was_learned_and_lost() -> None:
    text = page(round_record()).text
    assert "Round 2 was published" in text
    assert "3 new classes: jack, ten and nine, found with mAP50 0.848" in text
    assert "The 3 old classes lost 1.0 point on average" in text
    assert "The largest loss: king (−3.6 points), the largest rise: ace (+1.3 points)" in text


def test_verdict__rejected_says_why() -> None:
    text = page(rejected_round()).text
    assert "Round 3 was rejected" in text
    assert "The line keeps the model it had" in text
    assert "failed Old classes lost 11.4 points; at most 3.0 are allowed." in text


def test_groups__before_and_after() -> None:
    rows = page(round_record()).rows["groups"]
    assert rows[1:] == [
        ["All classes", "6", "–", "0.859", "–"],
        ["Old classes", "3", "0.880", "0.870", "−1.0"],
        ["New classes", "3", "–", "0.848", "–"],
    ]


def test_groups__without_new_classes_compare_all() -> None:
    rows = page(rejected_round()).rows["groups"]
    assert rows[1:] == [["All classes", "6", "0.859", "0.794", "−6.5"], ["Old classes", "6", "0.859", "0.794", "−6.5"]]


def test_first_round__has_no_before() -> None:
    read = page(first_round())
    assert read.rows["groups"][1:] == [["All classes", "3", "–", "0.880", "–"], ["New classes", "3", "–", "0.880", "–"]]
    assert "there is no model to compare with" in read.text
    assert "nothing to compare with" in read.text


def test_classes__old_have_a_change_and_new_do_not() -> None:
    read = page(round_record())
    assert read.row("classes", "king")[:4] == ["king", "0.839", "0.803", "−3.6"]
    assert read.row("classes", "jack")[:4] == ["jack new", "–", "0.785", "–"]
    assert [row[0].split()[0] for row in read.rows["classes"][1:]] == ["ace", "king", "queen", "jack", "ten", "nine"]


def test_classes__without_objects_in_any_set_are_listed() -> None:
    record = round_record()
    classes = (*record.prepare.classes, "unseen")
    wider = record.model_copy(update={"prepare": record.prepare.model_copy(update={"classes": classes})})
    assert page(wider).row("classes", "unseen")[1:4] == ["–", "–", "–"]


def test_sets__one_row_per_period() -> None:
    read = page(round_record())
    assert read.row("sets", "golden") == ["golden", "hold-out", "67", "0.880", "0.870", "−1.0", "0.848", "0.859"]
    assert read.row("sets", "2026-w47")[1] == "val of an increment"
    assert read.row("matrix", "ten") == ["ten", "0.902", "0.922", "0.872"]


def test_inputs__images_boxes_and_pseudo_labels() -> None:
    read = page(round_record())
    assert read.row("inputs", "2026-w48") == ["2026-w48", "increment", "train", "161", "8", "393", "1"]
    assert read.row("boxes", "queen") == ["queen", "63", "62", "14", "21", "32"]
    assert "153 boxes added by the old model" in read.text


def test_inputs__from_which_confidence_on_boxes_counted() -> None:
    record = round_record()
    measured = Threshold(confidence=0.456, precision=0.914, boxes=31)
    given = Threshold(confidence=0.3, precision=None, boxes=0)
    told = {"thresholds": {"queen": measured, "king": given}, "unsure": {"queen": 2, "king": 5}}
    words = page(record.model_copy(update={"prepare": record.prepare.model_copy(update=told)})).text.split()
    assert "153 boxes added by the old model; 7 boxes too unsure to teach anything" in " ".join(words)
    assert "queen 0.46 (91 % right of 31 boxes), king 0.30" in " ".join(words)
    assert "From confidence" not in page(record).text


def test_worst__a_line_that_keeps_no_pictures(picture: Path) -> None:
    record = nasty_round(picture)
    assert "data:image" in render_round(record, lineage=[])
    source = render_round(record, lineage=[], with_pictures=False)
    assert "data:image" not in source and "<img src" not in source
    assert "This line keeps no pictures." in source


def test_findings__show_where_found_and_mend() -> None:
    text = page(round_record()).text
    assert "2026-w48/train/IMG_2419.jpg there is no label file for this image Add labels/train/IMG_2419.txt" in text
    assert text.index("MissingLabel") < text.index("NearDuplicate") < text.index("TinyBox")


def test_findings__many_are_counted_and_cut(picture: Path) -> None:
    text = page(nasty_round(picture)).text
    assert "200 findings before any training" in text
    assert text.count("<img src=x onerror=alert(1)>") == 100
    assert text.count("50 more are in the round's manifest") == 2


def test_findings__none() -> None:
    assert "Verification found nothing" in page(round_record(findings=())).text


def test_charts__losses_rate_and_fitness() -> None:
    charts = [svg["aria-label"] for svg in page(round_record()).elements("svg") if svg.get("class") == "chart"]
    assert charts == ["Losses", "Learning rate", "Fitness (mAP50-95 on the val sets)"]


def test_facts__versions_and_settings() -> None:
    text = page(round_record()).text
    assert "treering 0.1.0 python 3.11.7" in text
    assert "seed 0 precision fp32 base sha256:6f1c2b0e5d" in text


def test_lineage__adds_this_round_and_links_published_ones() -> None:
    read = page(rejected_round(), first_round(), round_record())
    rounds = read.rows["sortable rounds"][1:]
    assert [(row[0], row[1]) for row in rounds] == [("3", "rejected"), ("2", "published"), ("1", "published")]
    links = [link["href"] for link in read.elements("a") if "rounds/" in link["href"]]
    assert links == ["../../../rounds/0002/attempt-1/report.html", "../../../rounds/0001/attempt-1/report.html"]


def test_lineage__holds_this_round_once() -> None:
    read = page(round_record(), first_round(), round_record())
    assert [row[0] for row in read.rows["sortable rounds"][1:]] == ["2", "1"]
