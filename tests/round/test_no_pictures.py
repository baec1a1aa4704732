"""`policies.memory: none`: two rounds leave no picture in the line's store, and the line still grows."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.plugins.lines import TestLine
from tests.round.conftest import Deliveries
from treering_trainer.store import sha256_of


def pictures_in(store: Path) -> list[str]:
    """Files that are pictures or hold one: by their first bytes, or as a data URI."""
    found = []
    for path in sorted(store.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        try:
            Image.open(io.BytesIO(data)).verify()
        except (OSError, SyntaxError):
            if b"data:image" in data:
                found.append(path.relative_to(store).as_posix())
        else:
            found.append(path.relative_to(store).as_posix())
    return found


def add_val(line: TestLine, deliveries: Deliveries) -> None:
    """Deliveries of the line's own, each with val pictures beside its train ones."""
    for number, name in enumerate(("w1", "w2")):
        shutil.copytree(deliveries.root / name, line.root / name)
        for part in ("images", "labels"):
            folder = line.root / name / part
            (folder / "val").mkdir()
            for path in sorted((folder / "train").iterdir())[:2]:
                path.rename(folder / "val" / path.name)
        line.spec["increments"][number:] = [{"name": name, "uri": (line.root / name).as_uri()}]
    assert [item["name"] for item in line.spec["increments"]] == ["w1", "w2"]


@pytest.mark.parametrize("memory", ["images", "none"])
def test_two_rounds__what_the_store_holds_of_pictures(line: TestLine, deliveries: Deliveries, memory: str) -> None:
    add_val(line, deliveries)
    line.spec["policies"] = {"memory": memory}
    answer = line.run()
    assert answer.code == 0, answer.err
    first, second = line.lineage.rounds
    assert (first.verdict, second.verdict, second.strategy) == ("published", "published", "incremental")
    found, record = pictures_in(line.store), line.record(2)
    rate = {"images": 2e-3, "none": 1e-3}[memory]  # for batches of 8: new classes, and where nothing is remembered
    assert record.train.learning_rate == pytest.approx(rate * (record.train.batch / 8) ** 0.5)
    if memory == "images":
        assert sum(name.startswith("bank/") for name in found) >= 4
        assert {name.rsplit("/", 1)[-1] for name in found if "/" in name and "bank/" not in name} == {"report.html"}
        return
    assert found == []
    assert not list(line.store.glob("bank/*"))
    images = [path for name in ("w1", "w2") for path in (line.root / name).rglob("*.png")]
    raw = {path.read_bytes() for path in line.store.rglob("*") if path.is_file()}
    assert not any(image.read_bytes() in data for image in images for data in raw)
    folder = line.store / "rounds/0002/attempt-1"
    for name in ("memory.json", "val.json"):
        assert json.loads((folder / name).read_bytes())["items"] == []
    digests = json.loads((folder / "learned.json").read_bytes())["increments"]["w1"]
    assert sha256_of(next((line.root / "w1/images/train").iterdir())) in digests
    assert (record.prepare.memory_images, "replay" in record.prepare.policies) == (0, False)
    sets = {score.name for score in record.evaluate.after}
    assert sets == {"golden", "w2"}, "the first delivery's val was measured in its own round alone"
    assert "This line keeps no pictures." in (folder / "report.html").read_text()


def test_a_line_that_kept_pictures_goes_on_without_them(grown: TestLine) -> None:
    """Even where somebody has emptied its bank meanwhile."""
    assert pictures_in(grown.store)
    shutil.rmtree(grown.store / "bank")
    grown.spec["policies"] = {"memory": "none"}
    answer = grown.run()
    assert answer.code == 0, answer.err
    assert not list(grown.store.glob("bank/*"))
    assert [name for name in pictures_in(grown.store) if "0002" in name] == []


def test_replay_without_pictures_is_refused(grown: TestLine) -> None:
    grown.spec["policies"] = {"memory": "none", "replay": {"ratio": 0.2}}
    error = grown.refused()
    assert error["exitCode"] == 2
    assert "memory: none keeps none" in error["found"]
    grown.spec["policies"]["replay"] = {"enabled": False}
    assert grown.run().code == 0
