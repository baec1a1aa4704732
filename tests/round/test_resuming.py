"""A round that was stopped, and what was changed or damaged before it goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.plugins.lines import TINY, TestLine, trained_in
from treering_api import StoreError
from treering_trainer import api
from treering_trainer.progress import Event, StageStarted


def test_base_weights_with_a_blank_in_their_name__and_replaced_before_the_round_ended(line: TestLine) -> None:
    base = line.root / "my tiny.yaml"
    base.write_text(TINY)
    line.spec["model"]["base"] = base.as_uri()
    assert "%20" in line.spec["model"]["base"]
    line.stop_before("evaluate")
    base.write_text(TINY.replace("0.0625", "0.1250"))
    assert trained_in(line.stop_before("evaluate"))
    assert not trained_in(line.stop_before("evaluate"))


@pytest.mark.parametrize("name", ["record.json", "report.html"])
def test_an_exported_page_or_record_that_was_damaged_is_not_published(line: TestLine, name: str) -> None:
    def observer(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "publish":
            path = next(line.work.glob(f"rounds/*/export/{name}"))
            path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(StoreError, match=name):
        api.run(line.resource, workdir=line.work, observer=observer)
    assert not (line.store / "lineage.json").exists()
    assert line.run().code == 0  # the next try describes the round anew


def test_an_edit_of_the_spec_starts_the_round_anew__in_the_same_work_folder(grown: TestLine) -> None:
    grown.stop_before("evaluate")
    grown.spec["training"]["epochs"] = 1
    assert grown.run().code == 0
    assert len(grown.record(2).train.epochs) == 1
    assert list((grown.work / "rounds").iterdir()) == []


def test_formats_edited_before_publishing_are_exported(grown: TestLine) -> None:
    grown.stop_before("publish")
    grown.spec["export"] = {"formats": ["torchscript"]}
    assert grown.run().code == 0
    assert (grown.store / "rounds/0002/attempt-2/exports/torchscript/model.torchscript").is_file()
    assert len(grown.record(2).train.epochs) == 2


def test_a_deadline_stops_the_round__and_the_next_run_goes_on(grown: TestLine, second_weights: str) -> None:
    grown.spec["deadline"] = "1s"
    grown.spec["training"]["epochs"] = 200
    error = grown.refused()
    assert error["exitCode"] == 75
    assert "spec.deadline: a try at a round may take 1s" in error["found"]
    assert "Run again" in error["mend"]
    del grown.spec["deadline"]
    grown.spec["training"]["epochs"] = 2
    assert grown.run().code == 0
    assert grown.weights(2) == second_weights


def test_a_damaged_work_folder_is_mended_from_the_store(grown: TestLine, second_weights: str) -> None:
    """What was pulled is checked by content before it is believed."""
    grown.stop_before("verify")
    for path in (*(grown.work / "bank").glob("*.png"), *(grown.work / "models").glob("*/model.safetensors")):
        spoil(path)
    assert grown.run().code == 0
    assert grown.weights(2) == second_weights


def spoil(path: Path) -> None:
    """Another bit, the same size and time stamp."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_published_model_that_was_changed_is_not_built_upon(grown: TestLine) -> None:
    spoil(grown.store / "rounds" / "0001" / "attempt-1" / "model.safetensors")
    error = grown.refused()
    assert error["exitCode"] == 4
    assert "model.safetensors" in error["where"]
    assert "SHA-256" in error["found"]
