"""A line grows: rounds in order, over a folder and over S3, and everything a round leaves behind."""

from __future__ import annotations

import hashlib
import json
import shutil

from tests.plugins.lines import TestLine, draw_delivery, expect
from tests.plugins.s3_servers import S3Bucket
from tests.round.conftest import Deliveries
from treering_trainer import api
from treering_trainer.report.account import box_rows
from treering_trainer.store import Connection, open_store, push, sha256_of


def test_two_increments_in_one_run__each_on_top_of_the_last(line: TestLine, deliveries: Deliveries) -> None:
    line.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    answer = line.run()
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1] == "oak: up to date: 2 increments learned"
    first, second = line.lineage.rounds
    assert (first.verdict, first.strategy, first.parent) == ("published", "full", 0)
    assert (second.verdict, second.strategy, second.parent) == ("published", "incremental", 1)
    assert line.lineage.current == second.model
    assert second.model is not None
    assert second.model.classes == ("ring", "bark", "leaf")  # the hold-out lists them in another order
    published = {path.name for path in (line.store / "rounds/0002/attempt-1").iterdir()} - {".treering-lock"}
    about = {
        "manifest.json",
        "record.json",
        "report.html",
        "memory.json",
        "val.json",
        "learned.json",
        "statistics.json",
    }
    assert published == about | {"model.safetensors", "model.json", "model.pt"}
    assert line.run().out.splitlines() == ["oak: up to date: 2 increments learned"]


def test_the_record_says_what_it_takes_to_repeat_the_round(grown: TestLine) -> None:
    record = grown.record(1)
    assert {"treering", "python", "torch", "ultralytics"} <= record.versions.keys()
    assert record.settings["seed"] == "0"
    assert record.settings["optimizer"] == "AdamW"
    assert record.settings["precision"] == "fp32"
    assert record.settings["device"] == "cpu"
    assert record.settings["base"].endswith("tiny.yaml")
    assert len(record.settings["base digest"]) == 64
    assert json.loads(record.settings["policy replay"])["ratio"] == 0.1
    assert float(record.settings["learning rate"]) > 0


def test_the_same_over_s3(line: TestLine, deliveries: Deliveries, s3_server: S3Bucket) -> None:
    connection = Connection(endpoint=s3_server.endpoint)
    bucket = open_store(s3_server.uri, connection)
    files = [path for path in deliveries.root.rglob("*") if path.is_file()]
    push(bucket.at("deliveries"), {path.relative_to(deliveries.root).as_posix(): path for path in files})
    start = f"{s3_server.uri}/deliveries"
    line.spec["model"]["base"] = f"{start}/tiny.yaml"
    line.spec["store"] = {"uri": f"{s3_server.uri}/lines/oak", "endpoint": s3_server.endpoint}
    line.spec["increments"] = [{"name": name, "uri": f"{start}/{name}"} for name in ("w1", "w2")]
    line.spec["evaluation"]["holdouts"][0]["uri"] = f"{start}/golden"
    answer = line.run()
    assert answer.code == 0, answer.err
    assert [summary["verdict"] for summary in line.call("history", "--json").data] == ["published", "published"]
    fetched = line.call("models fetch", str(line.root / "model"), "--json").data
    assert fetched["round"] == 2
    from ultralytics.models import YOLO

    assert list(YOLO(line.root / "model" / "model.pt").names.values()) == ["ring", "bark", "leaf"]


def test_a_class_that_is_only_listed_waits_for_its_first_box(line: TestLine, deliveries: Deliveries) -> None:
    """Deliveries often come with the whole line's class list: leaf must count as new when its pictures come."""
    everything = ("leaf", "bark", "ring")
    draw_delivery(line.root / "w1", ("ring", "bark"), 6, seed=1, names=everything)
    draw_delivery(line.root / "w2", ("leaf",), 6, seed=2, names=everything)
    line.spec["increments"] = [{"name": name, "uri": (line.root / name).as_uri()} for name in ("w1", "w2")]
    assert line.run().code == 0
    assert line.record(1).prepare.classes == ("bark", "ring")
    assert line.record(2).analyse.new_classes == ("leaf",)


def test_classes_renamed_by_the_spec__in_deliveries_and_holdouts(line: TestLine) -> None:
    draw_delivery(line.root / "w1", ("ring", "bark"), 6, seed=1)
    (line.root / "w1" / "names.json").write_text('["Ring", "rind"]')
    rename = {"Ring": "ring", "rind": "bark"}
    line.spec["increments"] = [{"name": "w1", "uri": (line.root / "w1").as_uri(), "classes": rename}]
    assert line.run().code == 0
    assert line.lineage.current is not None
    assert line.lineage.current.classes == ("ring", "bark")
    assert set(line.record(1).evaluate.after[0].classes) == {"ring", "bark"}


def test_without_a_holdout_a_share_is_held_back__and_stays_out_of_every_later_round(
    line: TestLine, deliveries: Deliveries
) -> None:
    """A delivery that brings the earlier pictures again, and a full retraining, must not learn what is measured."""
    draw_delivery(line.root / "w1", ("ring", "bark"), 8, seed=1)
    shutil.copytree(line.root / "w1", line.root / "w2")
    draw_delivery(line.root / "w2", ("leaf",), 8, seed=2, names=("ring", "bark", "leaf"))
    del line.spec["evaluation"]["holdouts"]
    line.spec["evaluation"]["valFraction"] = 0.1
    line.spec["increments"] = [{"name": "w1", "uri": (line.root / "w1").as_uri()}]
    assert line.run().code == 0
    val = json.loads((line.store / "rounds/0001/attempt-1/val.json").read_text())["items"]
    held = {item["sha256"] for item in val}
    assert 1 <= len(held) < 8
    line.spec["increments"].append({"name": "w2", "uri": (line.root / "w2").as_uri()})
    line.spec["strategy"] = "full"
    trained: set[str] = set()
    watch_training(line, trained)
    assert line.lineage.learned == ("w1", "w2")
    assert len(trained) >= 10
    assert not held & trained
    assert [finding.code for finding in line.record(2).verify.findings if "MeasuredOn" in finding.code]


def test_pictures_of_an_earlier_round_never_become_a_measure(line: TestLine, deliveries: Deliveries) -> None:
    """The memory keeps one of them; the other seven were learned just as well."""
    line.spec["policies"] = {"replay": {"minImages": 0}}
    assert line.run().code == 0
    folder = line.store / "rounds/0001/attempt-1"
    learned = json.loads((folder / "learned.json").read_bytes())["increments"]
    remembered = {item["sha256"] for item in json.loads((folder / "memory.json").read_bytes())["items"]}
    assert {name: len(pictures) for name, pictures in learned.items()} == {"w1": 8}
    images = sorted((deliveries.root / "w1/images/train").iterdir())
    image = next(path for path in images if sha256_of(path) not in remembered)
    late, again = line.root / "late", line.root / "w2"
    shutil.copytree(deliveries.root / "golden", late)
    shutil.copytree(deliveries.root / "w2", again)
    holdouts = line.spec["evaluation"]["holdouts"]
    holdouts.append({"name": "late", "uri": late.as_uri()})
    line.spec["increments"].append({"name": "w2", "uri": again.as_uri()})
    (again / "names.json").write_text('["leaf", "bark", "ring"]')
    for root in (late, again):
        (root / "images/val").mkdir(parents=True, exist_ok=True)
        (root / "labels/val").mkdir(parents=True, exist_ok=True)
        shutil.copy(image, root / "images/val/old.png")
        (root / "labels/val/old.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    error = line.refused()
    assert error["exitCode"] == 3
    assert "late/val/old.png: the same picture as one that was learned with w1" in error["found"]
    assert "w2/val/old.png: the same picture as one that was learned with w1" in error["found"]
    (late / "images/val/old.png").unlink()
    (late / "labels/val/old.txt").unlink()
    expect(line.refused(), 3, "w2/val/old.png", "was learned with w1", "Take it out of the val split")
    shutil.rmtree(again / "images/val")
    shutil.rmtree(again / "labels/val")
    assert line.run().code == 0
    learned = json.loads((line.store / "rounds/0002/attempt-3/learned.json").read_bytes())["increments"]
    assert {name: len(pictures) for name, pictures in learned.items()} == {"w1": 8, "w2": 6}


def test_a_model_of_an_older_version_says_nothing_of_what_it_learned(grown: TestLine) -> None:
    folder = grown.store / "rounds/0001/attempt-1"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]["learned.json"]
    (folder / "learned.json").unlink()
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (folder / "manifest.json").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    lineage = (grown.store / "lineage.json").read_text()
    model = grown.lineage.current
    assert model is not None
    (grown.store / "lineage.json").write_text(lineage.replace(model.digest, digest))
    assert grown.run().code == 0
    learned = json.loads((grown.store / "rounds/0002/attempt-1/learned.json").read_bytes())["increments"]
    assert set(learned) == {"w2"}


def test_the_memory_is_counted_in_the_record(grown: TestLine) -> None:
    answer = grown.run()
    assert answer.code == 0
    record = grown.record(2)
    counts = {count.kind: count for count in record.verify.counts}
    assert (counts["memory"].images, sum(counts["memory"].boxes.values())) == (8, 8)  # all of so few
    assert sum(row.memory for row in box_rows(record)) == 8
    assert record.train.image_passes == len(record.train.epochs) * (6 + 6), "no more of them than new ones"
    assert grown.lineage.train_images == {"w1": 8, "w2": 6}
    assert "12 images, 0 quarantined" in answer.err  # 6 delivered and 6 of the hold-out


def test_classes_that_nothing_is_measured_on_are_named(grown: TestLine, deliveries: Deliveries) -> None:
    draw_delivery(grown.root / "small", ("ring",), 4, seed=9, split="val")
    grown.spec["evaluation"]["holdouts"] = [{"name": "small", "uri": (grown.root / "small").as_uri()}]
    answer = grown.run()
    assert answer.code == 0, answer.err
    told = "no hold-out and no val picture shows bark, leaf: not compared by the gate"
    assert told in answer.out + answer.err
    finding = next(item for item in grown.record(2).verify.findings if item.code == "NotMeasured")
    assert (finding.severity, finding.found) == ("warning", told)
    assert "to a hold-out" in finding.mend


def test_an_old_delivery_with_a_class_nobody_knows(line: TestLine, deliveries: Deliveries) -> None:
    """Full retraining can't take it up by the way; auto goes on without it."""
    shutil.copytree(deliveries.root / "w1", line.root / "w1")
    line.spec["increments"][0]["uri"] = (line.root / "w1").as_uri()
    assert line.run().code == 0
    (line.root / "w1/names.json").write_text('["ring", "root"]')
    line.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    line.spec["strategy"] = "full"
    expect(line.refused(), 3, "w1", "it now shows root, unknown to the line", "Restore the delivery")
    line.spec["strategy"] = "auto"
    line.spec["policies"] = {"replay": {"ratio": 1.0}}
    assert line.run().code == 0
    assert line.record(2).analyse.strategy == "incremental"
    assert "it now shows root" in line.record(2).analyse.reason


def test_half_precision_on_a_cpu__is_said_and_recorded_as_what_it_is(line: TestLine) -> None:
    line.spec["training"]["precision"] = "bf16"
    answer = line.run()
    assert answer.code == 0, answer.err
    assert "bf16 was asked for, a CPU trains in fp32" in " ".join((answer.out + answer.err).split())
    assert line.record(1).settings["precision"] == "fp32"


def watch_training(line: TestLine, trained: set[str]) -> None:
    """Run the line and collect the content hashes of what is trained on."""
    from treering_trainer.progress import Event, StageStarted

    def observer(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "train":
            data = json.loads(next(line.work.glob("rounds/*/training.json")).read_bytes())
            trained.update(sample[5] for sample in (*data["new"], *data["memory"]))

    api.run(line.resource, workdir=line.work, observer=observer)


def test_auto_retrains_fully_while_the_history_is_small(grown: TestLine, deliveries: Deliveries) -> None:
    grown.spec["strategy"] = "auto"
    grown.spec["policies"] = {"replay": {"ratio": 1.0, "epochShare": 2}}
    assert grown.run().code == 0
    record = grown.record(2)
    assert record.analyse.strategy == "full"
    assert "retraining on all costs only 1.00 times as much" in record.analyse.reason
    assert record.prepare.new_images == 14
    assert record.prepare.classes == ("ring", "bark", "leaf")


def test_auto_learns_on_top_where_the_history_is_gone(line: TestLine, deliveries: Deliveries) -> None:
    shutil.copytree(deliveries.root / "w1", line.root / "w1")
    line.spec["increments"][0]["uri"] = (line.root / "w1").as_uri()
    assert line.run().code == 0
    shutil.rmtree(line.root / "w1")
    line.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    line.spec["strategy"] = "auto"
    line.spec["policies"] = {"replay": {"ratio": 1.0}}
    answer = line.run()
    assert answer.code == 0, answer.err
    assert line.record(2).analyse.strategy == "incremental"
    assert "can't be had again" in line.record(2).analyse.reason


def test_full_by_command_says_so_where_the_history_is_gone(grown: TestLine, deliveries: Deliveries) -> None:
    lineage = json.loads((grown.store / "lineage.json").read_text())
    gone = (grown.root / "gone").as_uri()
    lineage["settled"][0]["increment"]["uri"] = gone
    (grown.store / "lineage.json").write_text(json.dumps(lineage))
    grown.spec["increments"][0]["uri"] = gone
    grown.spec["strategy"] = "full"
    error = grown.refused()
    assert error["exitCode"] == 4
    assert "spec.increments[0].uri" in error["where"]
