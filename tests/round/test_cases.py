"""Cases through the command line: collected with a round, fetched, ready for labelling tools, never leaked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.plugins.lines import TestLine, expect
from tests.round.conftest import Deliveries
from treering_api import Verification
from treering_trainer.cases.case import CaseList
from treering_trainer.dataset import read_dataset

BAD_SPEC, BAD_DATA = 2, 3


@pytest.fixture
def collecting(line: TestLine, tmp_path: Path) -> TestLine:
    """A line that looks at unlabelled pictures, too; its young model is unsure of everything."""
    folder = tmp_path / "unlabelled" / "deep"
    folder.mkdir(parents=True)
    for number in range(5):
        pixels = np.random.default_rng(100 + number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    uri = (tmp_path / "unlabelled").as_uri()
    line.spec["cases"] = {"images": 3, "confidence": 0.05, "unlabelled": [{"name": "belt", "uri": uri}]}
    return line


@pytest.fixture
def fetched(collecting: TestLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("treering_trainer.stages.cases.FAINTEST", 0.001)
    assert collecting.run().code == 0
    out = collecting.root / "cases"
    answer = collecting.call("cases", "--out", out)
    assert answer.code == 0 and "deliver that folder as an increment" in answer.out
    yield out


def test_cases__folder_is_ready_to_label(fetched: Path, collecting: TestLine) -> None:
    cases = CaseList.model_validate_json((fetched / "cases.json").read_bytes())
    counts = cases.counts()
    assert counts["missed"] == 3 and counts["uncertain"] == 3 and cases.with_pictures
    told = collecting.lineage.rounds[-1].cases
    assert told is not None and told.model_dump(by_alias=True) == counts
    assert {case.purpose for case in cases.cases if case.kind == "uncertain"} == {"label"}
    for name, source in (("increment", "belt"), ("review", "golden")):
        dataset = read_dataset(fetched / name, name, "increment", Verification()).dataset
        mine = {case.picture: case for case in cases.cases if case.source == source}
        assert {sample.image.name for sample in dataset.train} == set(mine)
        root = ElementTree.parse(fetched / f"{name}.cvat.xml").getroot()
        tasks = {
            task["data"]["image"].partition("?d=")[2]: task
            for task in json.loads((fetched / f"{name}.label-studio.json").read_text())
        }
        images = {image.get("name"): image for image in root.iter("image")}
        assert set(images) == set(tasks) == set(mine)
        for sample in dataset.train:
            case = mine[sample.image.name]
            proposed = case.truth if name == "review" else case.found
            assert len(sample.boxes) == len(proposed)
            for box, shape in zip(proposed, images[case.picture].iter("box"), strict=True):
                assert shape.get("label") == box[0]
                sides = [float(shape.get(side) or "") for side in ("xtl", "ytl", "xbr", "ybr")]
                assert sides == pytest.approx(box[1:5], abs=1e-3)
            results = tasks[case.picture]["predictions"][0]["result"]
            for box, result in zip(proposed, results, strict=True):
                value = result["value"]
                left, top = value["x"] * case.width / 100, value["y"] * case.height / 100
                assert (left, top) == pytest.approx(box[1:3], abs=1e-3) and value["rectanglelabels"] == [box[0]]
    assert ElementTree.parse(fetched / "label-studio.xml").getroot().tag == "View"
    page = (fetched / "cases.html").read_text()
    assert page.count("<figure") == len(cases.cases) and "data:image/jpeg" in page
    report = next((collecting.store / "rounds").glob("*/*/report.html")).read_text()
    assert 'href="cases/cases.html"' in report


def test_cases__what_is_measured_on_is_refused_for_training(fetched: Path, collecting: TestLine) -> None:
    collecting.spec["increments"].append({"name": "leak", "uri": (fetched / "review").as_uri()})
    error = collecting.refused()
    assert error["exitCode"] == BAD_DATA and "golden" in error["found"] + error["where"] + error["mend"]


def test_cases__what_people_have_labelled_is_learned(fetched: Path, collecting: TestLine) -> None:
    for path in (fetched / "increment" / "labels" / "train").iterdir():
        path.write_text("0 0.5 0.5 0.5 0.5\n")
    collecting.spec["increments"].append({"name": "labelled", "uri": (fetched / "increment").as_uri()})
    collecting.spec.pop("cases")
    assert collecting.run().code == 0
    assert collecting.lineage.round == 2
    expect(
        collecting.refused("cases", "--out", str(collecting.root / "no")), BAD_SPEC, "spec.cases", "no cases", "cases"
    )


def test_cases__without_pictures_only_words(collecting: TestLine) -> None:
    collecting.spec["policies"] = {"memory": "none"}
    assert collecting.run().code == 0
    files = [
        path.name
        for path in (collecting.store / "rounds").glob("*/*/cases/**/*")
        if path.is_file() and path.name[0] != "."
    ]
    assert sorted(files) == ["cases.html", "cases.json"]
    assert "data:image" not in next((collecting.store / "rounds").glob("*/*/cases/cases.html")).read_text()


def test_cases__a_picture_that_is_known_is_not_offered_again(
    collecting: TestLine, deliveries: Deliveries, tmp_path: Path
) -> None:
    """One that is measured on, and one that is trained on."""
    shutil.rmtree(tmp_path / "unlabelled")
    shutil.copytree(Path(deliveries.root / "golden" / "images"), tmp_path / "unlabelled" / "golden")
    shutil.copytree(Path(deliveries.root / "w1" / "images"), tmp_path / "unlabelled" / "w1")
    collecting.spec["evaluation"]["gate"] = {"classFloor": {"ring": 1.0}}
    collecting.run()
    assert [summary.verdict for summary in collecting.lineage.rounds] == ["rejected"]
    answer = collecting.call("cases", "--out", collecting.root / "cases", "--json")  # which tell why
    assert answer.code == 0 and answer.data["counts"]["uncertain"] == 0 and answer.data["counts"]["missed"] > 0


def test_cases__an_empty_folder_is_refused_by_its_field(collecting: TestLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    collecting.spec["cases"]["unlabelled"][0]["uri"] = (tmp_path / "empty").as_uri()
    expect(collecting.refused(), BAD_DATA, "spec.cases.unlabelled[0].uri", "no pictures", "Mend the URI")
