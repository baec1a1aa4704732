"""A pod loses its machine: the next one, in an empty folder, goes on from the store, and ends where one would have."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.lines import IMAGE_PASSES, TestLine, in_child
from tests.plugins.pod_plans import Pod, planned
from tests.round.conftest import Deliveries
from treering_api import ExitCode, Lineage, Mirror, ResumableError, RoundResult
from treering_trainer import api
from treering_trainer.line import Line
from treering_trainer.progress import EpochFinished, Event, StageProgress, StageStarted
from treering_trainer.run import Setting
from treering_trainer.stages.checkpoints import Kept, _find, bring_back, prune
from treering_trainer.store import Store, UnreachableError, open_store
from treering_trainer.store.file import FileStore

Hook = Callable[[Event, Setting], None]


def stop_at(here: Callable[[Event], bool]) -> Hook:
    def hook(event: Event, setting: Setting) -> None:
        if here(event):
            setting.stop.request("SIGTERM")

    return hook


def in_second_epoch(event: Event) -> bool:
    return isinstance(event, StageProgress) and event.stage == "train" and event.done > IMAGE_PASSES


def at_start(stage: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, StageStarted) and event.stage == stage


def preempt(line: TestLine, name: str = "one", here: Callable[[Event], bool] = in_second_epoch) -> Pod:
    """A pod that is told to stop, and leaves."""
    pod = Pod(line, line.root / name)
    with pytest.raises(ResumableError, match="stopped by SIGTERM"):
        pod.run(planned(line), stop_at(here))
    return pod


def train_record(line: TestLine, attempt: int) -> dict[str, object]:
    record = json.loads((line.store / f"rounds/0002/attempt-{attempt}/record.json").read_text())
    found: dict[str, object] = record["train"]
    return found


def kept_in(line: TestLine) -> list[str]:
    root = line.store / "checkpoints"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name[0] != ".")


def opened(line: TestLine) -> Line:
    return Line("oak", open_store(line.store.as_uri()))


@pytest.mark.parametrize(
    ("here", "epochs"),
    [
        pytest.param(in_second_epoch, 1, id="in-training"),
        pytest.param(at_start("evaluate"), 2, id="trained"),
        pytest.param(at_start("publish"), 2, id="exported"),
    ],
)
def test_a_preempted_round_goes_on_elsewhere_and_ends_bit_equal(
    here: Callable[[Event], bool], epochs: int, grown: TestLine, second_weights: str
) -> None:
    first = preempt(grown, here=here)
    assert first.told[-1] == f"the training is safe in the store up to epoch {epochs}"
    assert f"0002/attempt-1/{epochs:05d}.json" in kept_in(grown)
    shutil.rmtree(first.folder)
    second = Pod(grown, grown.root / "two")
    second.run(planned(grown))
    assert f"goes on after epoch {epochs}, from the checkpoint that attempt 1 left" in second.told[0]
    assert grown.weights(2) == second_weights
    record = train_record(grown, 2)
    assert (record["attempts"], record["image_passes"]) == (2, 2 * IMAGE_PASSES)
    assert kept_in(grown) == []  # the round has ended


def test_preempted_again_and_again(grown: TestLine, second_weights: str) -> None:
    grown.spec["training"]["epochs"] = 3
    reference = grown.copy_to(grown.root / "reference")
    api.run(reference.resource, workdir=reference.work)
    for number in (1, 2):
        preempt(grown, f"pod-{number}", after_passes(number * IMAGE_PASSES))
        assert {name.split("/")[1] for name in kept_in(grown)} == {f"attempt-{number}"}  # what it made superfluous went
    Pod(grown, grown.root / "last").run(planned(grown))
    assert train_record(grown, 3)["attempts"] == 3
    assert grown.weights(2) == reference.weights(2) != second_weights


def after_passes(passes: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, StageProgress) and event.stage == "train" and event.done > passes


def test_preempted_before_the_first_epoch_ended__nothing_is_kept_and_the_next_begins_anew(
    grown: TestLine, second_weights: str
) -> None:
    preempt(grown, here=at_start("train"))
    assert kept_in(grown) == []
    Pod(grown, grown.root / "two").run(planned(grown))
    assert grown.weights(2) == second_weights


def test_a_node_that_dies_without_a_word__loses_what_came_after_the_last_checkpoint(
    grown: TestLine, second_weights: str
) -> None:
    plan = planned(grown)

    def work() -> None:
        pod = Pod(grown, grown.root / "one", safe_interval_s=0.0)

        def hook(event: Event, setting: Setting) -> None:
            while in_second_epoch(event):
                if any("is safe" in text for text in pod.told):
                    os.kill(os.getpid(), signal.SIGKILL)

        pod.run(plan, hook)

    assert os.WIFSIGNALED(in_child(work))
    assert "0002/attempt-1/00001.json" in kept_in(grown)
    second = Pod(grown, grown.root / "two")
    second.run(plan)
    assert train_record(grown, 2)["attempts"] == 2
    assert grown.weights(2) == second_weights


def test_the_program__is_told_to_end_and_says_so(grown: TestLine, second_weights: str) -> None:
    plan, result = grown.root / "plan.json", grown.root / "result.json"
    plan.write_text(planned(grown).model_dump_json(by_alias=True))
    command = [sys.executable, "-m", "treering_trainer", "round", str(plan), "--result", str(result), "--json"]
    process = subprocess.Popen(
        [*command, "--workdir", str(grown.root / "one")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for row in process.stdout:
        if json.loads(row)["event"] == "EpochFinished":
            process.send_signal(signal.SIGTERM)
    assert process.wait(60) == ExitCode.RESUMABLE
    told = RoundResult.from_message(result.read_text())
    assert (told.exit_code, told.attempt) == (ExitCode.RESUMABLE, 1)
    assert "stopped by SIGTERM" in told.message
    assert told.mirror == Mirror.of(grown.lineage)
    Pod(grown, grown.root / "two").run(planned(grown))
    assert train_record(grown, 2)["attempts"] == 2
    assert grown.weights(2) == second_weights


def test_full_retraining__brings_what_was_learned_before_to_the_new_machine(grown: TestLine) -> None:
    grown.spec["strategy"] = "full"
    reference = grown.copy_to(grown.root / "reference")
    api.run(reference.resource, workdir=reference.work)
    preempt(grown, here=lambda event: isinstance(event, EpochFinished))
    Pod(grown, grown.root / "two").run(planned(grown))
    assert grown.lineage.rounds[-1].strategy == "full"
    assert train_record(grown, 2)["attempts"] == 2
    assert grown.weights(2) == reference.weights(2)


# What is not used ----------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda path: path.write_bytes(b"")], ids=["bit", "gone", "empty"])
@pytest.mark.parametrize("part", ["00001.pt", "00001.json", "work/training.json", "work/records/verify.json"])
def test_a_damaged_checkpoint_costs_time_only(
    part: str, harm: Callable[[Path], object], preempted: TestLine, tmp_path: Path, second_weights: str
) -> None:
    line = preempted.copy_to(tmp_path / "line")
    harm(line.store / "checkpoints/0002/attempt-1" / part)
    told: list[str] = []
    folder = tmp_path / "round"
    bring_back(opened(line), folder, 2, lambda event: told.append(getattr(event, "text", "")))
    if (part, harm) != ("00001.json", Path.unlink):
        assert "can't be used" in told[0]
        assert told[-1] == "no checkpoint of this round can be used: its training begins anew"
    assert not (folder / "records").exists()
    assert not (folder / "train").exists()


@pytest.fixture(scope="module")
def preempted(grown_once: TestLine, tmp_path_factory: pytest.TempPathFactory) -> TestLine:
    """A line whose second round was preempted after its first epoch; the work folder of its round is named `round`."""
    line = grown_once.copy_to(tmp_path_factory.mktemp("preempted") / "line")
    preempt(line)
    manifest = line.store / "checkpoints/0002/attempt-1/00001.json"
    content = json.loads(manifest.read_text())
    content["extra"]["work"] = "round"
    manifest.write_text(json.dumps(content))
    return line


def test_bring_back__of_an_undamaged_one(preempted: TestLine, tmp_path: Path) -> None:
    """That the damage of the tests above is what keeps it from being used."""
    told: list[str] = []
    bring_back(opened(preempted), tmp_path / "round", 2, lambda event: told.append(getattr(event, "text", "")))
    assert "goes on after epoch 1" in told[0]
    assert (tmp_path / "round/train/checkpoint.pt").exists()
    assert sorted(path.name for path in (tmp_path / "round/records").iterdir()) == [
        "analyse.json", "prepare.json", "verify.json",
    ]  # fmt: skip
    before = (tmp_path / "round/train/checkpoint.pt").stat().st_mtime_ns
    bring_back(opened(preempted), tmp_path / "round", 2, lambda event: told.append(getattr(event, "text", "")))
    assert (tmp_path / "round/train/checkpoint.pt").stat().st_mtime_ns == before  # it is here already
    (tmp_path / "round/records/prepare.json").unlink()  # a try that died while it put the parts in place
    bring_back(opened(preempted), tmp_path / "round", 2, lambda event: told.append(getattr(event, "text", "")))
    assert (tmp_path / "round/records/prepare.json").exists()


def test_a_round_that_learns_otherwise__does_not_go_on_from_it(grown: TestLine) -> None:
    preempt(grown)
    grown.spec["training"]["seed"] = 1
    second = Pod(grown, grown.root / "two")
    second.run(planned(grown))
    assert train_record(grown, 2)["attempts"] == 1
    assert any("no checkpoint of this round can be used" in text for text in second.told)


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "history-of-full"])
def test_a_delivery_that_changed_since__is_learned_anew(
    full: bool, grown: TestLine, deliveries: Deliveries, second_weights: str
) -> None:
    name, place = ("w1", 0) if full else ("w2", 1)
    own = shutil.copytree(deliveries.root / name, grown.root / name)
    grown.spec["increments"][place]["uri"] = own.as_uri()
    if full:  # what is settled stands still in the spec, not in the store
        grown.spec["strategy"] = "full"
        lineage = json.loads((grown.store / "lineage.json").read_text())
        lineage["settled"][0]["increment"]["uri"] = own.as_uri()
        (grown.store / "lineage.json").write_text(json.dumps(lineage))
    preempt(grown, here=lambda event: isinstance(event, EpochFinished))
    label = next((own / "labels/train").iterdir())
    label.write_text(label.read_text().replace("0.375000", "0.500000"))
    second = Pod(grown, grown.root / "two")
    second.run(planned(grown))
    assert any("changed since the round began: it begins anew" in text for text in second.told)
    assert train_record(grown, 2)["attempts"] == 1
    assert grown.weights(2) != second_weights


def test_an_old_pod_that_still_terminates__harms_nothing(grown: TestLine, second_weights: str) -> None:
    """The second pod of a round begins while the first one is still at its last checkpoint."""
    plan = planned(grown)

    def second_pod(event: Event, setting: Setting) -> None:
        if not in_second_epoch(event) or setting.stop.requested:
            return
        setting.stop.request("SIGTERM")
        Pod(grown, grown.root / "two").run(plan)  # while this one has not stopped yet

    first = Pod(grown, grown.root / "one", safe_interval_s=0.0)
    with pytest.raises(ResumableError):
        first.run(plan, second_pod)
    assert grown.lineage.round == 2
    assert grown.lineage.rounds[-1].attempt == 2
    assert grown.weights(2) == second_weights
    third = Pod(grown, grown.root / "three")
    third.run(plan)  # finds it done, and takes away what the first one left behind
    assert kept_in(grown) == []


def test_bring_back__the_later_try_counts_though_an_earlier_one_was_further(
    preempted: TestLine, tmp_path: Path
) -> None:
    line = preempted.copy_to(tmp_path / "line")
    root = line.store / "checkpoints/0002"
    shutil.copytree(root / "attempt-1", root / "attempt-3")
    further = {"00001.json": "00004.json", "00001.pt": "00004.pt"}
    for old, new in further.items():
        (root / "attempt-1" / old).rename(root / "attempt-1" / new)
    told: list[str] = []
    bring_back(opened(line), tmp_path / "round", 2, lambda event: told.append(getattr(event, "text", "")))
    assert "after epoch 1, from the checkpoint that attempt 3 left" in told[0]
    prune(opened(line), 2, 1)  # an old pod that still runs takes away nothing of a later one
    assert sorted(_find(opened(line), 2)) == [Kept(1, 4), Kept(3, 1)]
    prune(opened(line), 2, 3)
    assert sorted(_find(opened(line), 2)) == [Kept(3, 1)]
    assert not [path for path in (root / "attempt-1").rglob("*") if path.is_file() and path.name[0] != "."]


def test_a_store_that_takes_no_checkpoints__does_not_stop_the_training(
    grown: TestLine, second_weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = FileStore.put_file

    def refuse(self: Store, key: str, path: Path, *, create: bool = False) -> str:
        if "checkpoints" in self.uri:
            raise UnreachableError(self.where(key), "the store can't answer now", "Wait.")
        return put_file(self, key, path, create=create)

    monkeypatch.setattr(FileStore, "put_file", refuse)
    pod = Pod(grown, grown.root / "one", safe_interval_s=0.0)

    def said() -> bool:
        return any("the checkpoint can't be brought to the store; the round goes on" in text for text in pod.told)

    def wait_for_it(event: Event, setting: Setting) -> None:
        while in_second_epoch(event) and not said():
            pass

    pod.run(planned(grown), wait_for_it)
    assert said()
    assert grown.weights(2) == second_weights


def test_a_laptop_keeps_its_checkpoints_to_itself(grown: TestLine) -> None:
    def interrupt(event: Event) -> None:
        if in_second_epoch(event):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(ResumableError):
        api.run(grown.resource, workdir=grown.work, observer=interrupt)
    assert kept_in(grown) == []


def test_on_s3__the_same(grown: TestLine, s3_server: object, second_weights: str) -> None:
    from tests.plugins.s3_servers import S3Bucket
    from treering_trainer.store import Connection

    assert isinstance(s3_server, S3Bucket)
    bucket = open_store(f"{s3_server.uri}/oak", Connection(endpoint=s3_server.endpoint))
    for path in grown.store.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            bucket.put_file(path.relative_to(grown.store).as_posix(), path)
    grown.spec["store"] = {"uri": bucket.uri, "endpoint": s3_server.endpoint}
    preempt(grown)
    kept = [info.key for info in bucket.list("checkpoints/")]
    assert "checkpoints/0002/attempt-1/00001.pt" in kept
    Pod(grown, grown.root / "two").run(planned(grown))
    lineage = Lineage.model_validate_json(bucket.get("lineage.json"))
    assert lineage.rounds[-1].attempt == 2
    assert list(bucket.list("checkpoints/")) == []
