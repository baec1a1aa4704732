"""Whatever is wrong with what comes in: the user is told where, what was found and the mend, and nothing changes."""

from __future__ import annotations

import json
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.lines import TestLine, expect
from tests.plugins.s3_servers import S3Server, use
from tests.round.conftest import Deliveries
from treering_trainer.yolo.exporting.formats import FORMATS, Format

BAD_SPEC, STORE, INTERRUPTED = 2, 4, 75


# The spec ------------------------------------------------------------------------------------------------------------


def test_unknown_field(line: TestLine) -> None:
    line.spec["policies"] = {"replay": {"ration": 0.2}}
    expect(line.refused(), BAD_SPEC, "spec.policies.replay.ration", "unknown field", "Did you mean ratio?")


@pytest.mark.parametrize("uri", ["deliveries/w1", "http://example.org/w1", "s3:/bucket/w1"])
def test_bad_uri(line: TestLine, uri: str) -> None:
    line.spec["increments"][0]["uri"] = uri
    expect(
        line.refused(),
        BAD_SPEC,
        "spec.increments[0].uri",
        repr(uri),
        "Write s3://bucket/prefix or file:///absolute/folder",
    )


def test_two_increments_with_one_name(line: TestLine, deliveries: Deliveries) -> None:
    line.spec["increments"].append({"name": "w1", "uri": deliveries.uri("w2")})
    expect(line.refused(), BAD_SPEC, "spec.increments", "name 'w1' stands there 2 times", "a name of its own")


def test_an_increment_removed_after_training(grown: TestLine) -> None:
    del grown.spec["increments"][0]
    expect(
        grown.refused(),
        BAD_SPEC,
        "spec.increments",
        "'w1' was learned in round 1, but is gone",
        "Put it back at place 1",
    )
    assert grown.lineage.learned == ("w1",)


def test_increments_reordered_after_training(grown: TestLine) -> None:
    grown.spec["increments"].reverse()
    expect(
        grown.refused(), BAD_SPEC, "spec.increments[0]", "found 'w2' where 'w1' was learned", "Put 'w1' back at place 1"
    )


def test_no_such_spec(line: TestLine) -> None:
    from treering_trainer.cli.app import run_app

    assert line.capture is not None
    assert run_app(["run", str(line.root / "absent.yaml")]) == BAD_SPEC
    assert "there is no such file" in line.capture.readouterr().err


# The store -----------------------------------------------------------------------------------------------------------


def s3_line(line: TestLine, server: S3Server, bucket: str) -> TestLine:
    line.spec["store"] = {"uri": f"s3://{bucket}/oak", "endpoint": server.endpoint}
    return line


def test_missing_bucket_of_the_line(line: TestLine, ministack: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use(ministack, monkeypatch)
    expect(
        s3_line(line, ministack, "no-such-bucket").refused(),
        STORE,
        "s3://no-such-bucket",
        "no such bucket",
        "Create the bucket",
    )


def test_missing_bucket_of_a_delivery(line: TestLine, ministack: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = use(ministack, monkeypatch)
    s3_line(line, ministack, bucket.bucket).spec["increments"][0]["uri"] = "s3://no-such-bucket/w1"
    error = line.refused()
    expect(error, STORE, "spec.increments[0].uri: s3://no-such-bucket", "no such bucket", "mend its name in the URI")


def test_wrong_credentials(line: TestLine, rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = use(rclone, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    expect(
        s3_line(line, rclone, bucket.bucket).refused(),
        STORE,
        bucket.uri,
        "secret key is wrong",
        "AWS_SECRET_ACCESS_KEY",
    )


def test_store_down(line: TestLine, rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use(rclone, monkeypatch)
    with socket.socket() as listener:  # a port on which nobody answers
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    line.spec["store"] = {"uri": "s3://lines/oak", "endpoint": f"http://127.0.0.1:{port}"}
    error = line.refused("status")
    expect(error, STORE, "s3://lines", f"127.0.0.1:{port}", "endpoint")


def test_the_folder_of_a_delivery_is_missing(line: TestLine) -> None:
    line.spec["increments"][0]["uri"] = (line.root / "absent").as_uri()
    expect(line.refused(), STORE, "spec.increments[0].uri: file://", "no such folder", "Check the path")


def test_the_line_of_another_name_lies_in_the_store(grown: TestLine) -> None:
    lineage = (grown.store / "lineage.json").read_text()
    (grown.store / "lineage.json").write_text(lineage.replace('"line": "oak"', '"line": "elm"'))
    expect(
        grown.refused("status"), STORE, grown.store.as_uri(), "holds the line 'elm', not 'oak'", "a folder of its own"
    )


# The weights ---------------------------------------------------------------------------------------------------------


class Bomb:
    """What a foreign checkpoint could do."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def with_base(line: TestLine, data: bytes) -> TestLine:
    path = line.root / "weights.pt"
    path.write_bytes(data)
    line.spec["model"]["base"] = path.as_uri()
    return line


def test_base_that_is_no_checkpoint(line: TestLine) -> None:
    error = with_base(line, b"<html>404</html>").refused()
    found = "weights.pt is no checkpoint that can be read"
    expect(error, BAD_SPEC, "spec.model.base", found, "Give a checkpoint of ultralytics")


@pytest.mark.parametrize("container", ["pickle", "torch"])
def test_base_with_foreign_code__is_never_run(line: TestLine, container: str) -> None:
    import torch

    trace = line.root / "it-ran"
    content = {"model": Bomb(trace)}
    if container == "pickle":
        with_base(line, pickle.dumps(content))
    else:
        path = line.root / "weights.pt"
        torch.save(content, path)
        line.spec["model"]["base"] = path.as_uri()
    error = line.refused()
    assert error["exitCode"] == BAD_SPEC
    assert error["where"] == "spec.model.base"
    assert "weights.pt" in error["found"]
    assert not trace.exists()


def test_base_that_is_not_there(line: TestLine) -> None:
    line.spec["model"]["base"] = (line.root / "absent.pt").as_uri()
    expect(line.refused(), BAD_SPEC, "spec.model.base", "absent.pt does not exist", "upload the weights")


# The machine ---------------------------------------------------------------------------------------------------------


def test_disk_full__work_folder(line: TestLine, full_disk: Path) -> None:
    line.write()
    from treering_trainer.cli.app import run_app

    assert line.capture is not None
    code = run_app(["run", str(line.file), "--workdir", str(full_disk / "work"), "--json"])
    seen = line.capture.readouterr()
    error = json.loads(seen.out.splitlines()[-1])
    assert code == INTERRUPTED
    expect(error, INTERRUPTED, str(full_disk), "disk full", "Free some space")
    assert not (line.store / "lineage.json").exists()


def test_disk_full__store(line: TestLine, full_disk: Path) -> None:
    line.spec["store"]["uri"] = (full_disk / "store").as_uri()
    error = line.refused()
    expect(error, INTERRUPTED, str(full_disk), "disk full", "Free some space")
    assert not (full_disk / "store" / "lineage.json").exists()


def test_disk_full_in_the_middle_of_training__is_named_and_the_next_run_goes_on(
    grown: TestLine, monkeypatch: pytest.MonkeyPatch, second_weights: str
) -> None:
    import errno

    from treering_trainer.stages import train

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(train, "save_model", full)
        expect(grown.refused(), INTERRUPTED, str(grown.work), "disk full", "--workdir")
    assert grown.run().code == 0
    assert grown.weights(2) == second_weights


def test_no_gpu_where_one_was_asked_for(line: TestLine) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    line.spec["compute"] = {"gpus": 1}
    expect(
        line.refused(), INTERRUPTED, "spec.compute.gpus", "torch finds none on this machine", "set gpus to auto or 0"
    )
    assert not (line.store / "attempts").exists()


def test_a_format_that_can_not_be_made__is_refused_before_training(
    line: TestLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "onnx", Format("onnx", None, ("no_such_module",)))
    line.spec["export"] = {"formats": ["onnx"]}
    expect(line.refused(), BAD_SPEC, "spec.export.formats[0]", "no_such_module is not installed", "leave onnx out")
