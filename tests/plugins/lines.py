"""Lines small enough to grow in a second: a detector of ten layers, pictures of 64 pixels, a handful of each.

`draw_delivery` draws pictures in YOLO layout; `TestLine` is a line with its spec, store and work folder, and runs the
command line on it in this process, where torch is loaded once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file

from treering_api import IncrementalTrain, Lineage
from treering_trainer import api
from treering_trainer.cli.app import run_app
from treering_trainer.progress import EpochFinished, Event, StageStarted
from treering_trainer.records import RoundRecord

TINY = """\
nc: 3
scales: {n: [0.33, 0.0625, 256]}
scale: n
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 1, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 1, C2f, [256, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 1, SPPF, [256, 5]]
head:
  - [-1, 1, nn.Upsample, [None, 2, nearest]]
  - [[-1, 4], 1, Concat, [1]]
  - [-1, 1, C2f, [256]]
  - [[9, 6], 1, Detect, [nc]]
"""
COLOURS = {"ring": (220, 40, 40), "bark": (40, 200, 60), "leaf": (50, 80, 230), "root": (230, 210, 60)}
WHITE = (240, 240, 240)
"""Of every other class."""
SIZE = 64
IMAGE_PASSES = 12
"""Of an epoch of the second round: six pictures, and as many of the eight in the memory."""


def draw_delivery(
    root: Path,
    classes: Sequence[str],
    images: int,
    *,
    seed: int,
    split: str = "train",
    names: Sequence[str] | None = None,
) -> Path:
    """Pictures of noise, each with one box of a class; the classes take turns. Gives the folder."""
    listed = tuple(names or classes)
    source = np.random.default_rng(seed)
    for part in ("images", "labels"):
        (root / part / split).mkdir(parents=True, exist_ok=True)
    for number in range(images):
        name = classes[number % len(classes)]
        pixels = source.integers(0, 90, (SIZE, SIZE, 3), dtype=np.uint8)
        side, left, top = 24, int(source.integers(2, 38)), int(source.integers(2, 38))
        pixels[top : top + side, left : left + side] = COLOURS.get(name, WHITE)
        stem = f"{split}{seed}_{number:02d}"
        Image.fromarray(pixels).save(root / "images" / split / f"{stem}.png")
        box = [(left + side / 2) / SIZE, (top + side / 2) / SIZE, side / SIZE, side / SIZE]
        row = " ".join([str(listed.index(name)), *(f"{value:.6f}" for value in box)])
        (root / "labels" / split / f"{stem}.txt").write_text(row + "\n")
    (root / "names.json").write_text(json.dumps(listed))
    return root


@dataclass(frozen=True)
class Answer:
    """What one call of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The last JSON document on standard output."""
        return json.loads(self.out.splitlines()[-1])


@dataclass
class TestLine:
    """One line under test."""

    __test__ = False

    root: Path
    spec: dict[str, Any]
    capture: pytest.CaptureFixture[str] | None = None

    @property
    def file(self) -> Path:
        return self.root / "line.yaml"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def lineage(self) -> Lineage:
        return Lineage.model_validate_json((self.store / "lineage.json").read_bytes())

    @property
    def resource(self) -> IncrementalTrain:
        self.write()
        return api.load(self.file)

    def write(self) -> None:
        document = {
            "apiVersion": "treering.dev/v1alpha1",
            "kind": "IncrementalTrain",
            "metadata": {"name": "oak"},
            "spec": self.spec,
        }
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def call(self, verb: str, *words: str | Path) -> Answer:
        """Run a verb on the line's spec as it stands now, in this process."""
        self.write()
        assert self.capture is not None
        self.capture.readouterr()
        place = ["--workdir", str(self.work)] if verb in ("run", "round") or "--data" in words else []
        code = run_app([*verb.split(), str(self.file), *map(str, words), *place])
        seen = self.capture.readouterr()
        return Answer(code, seen.out, seen.err)

    def run(self, *words: str) -> Answer:
        return self.call("run", *words)

    def refused(self, verb: str = "run", *words: str) -> dict[str, Any]:
        """Run a verb that must fail; gives its error after checking that a person is told the same."""
        answer = self.call(verb, *words, "--json")
        error: dict[str, Any] = answer.data
        assert error["event"] == "Error", answer.out
        assert error["exitCode"] == answer.code
        told = " ".join(answer.err.split())
        for part in ("where", "found", "mend"):
            assert " ".join(error[part].split()) in told, answer.err
        assert "Traceback" not in answer.err
        return error

    def stop_before(self, stage: str) -> list[Event]:
        """Run the line up to a stage, as if interrupted there; gives what it told until then."""
        told: list[Event] = []

        def observer(event: Event) -> None:
            told.append(event)
            if isinstance(event, StageStarted) and event.stage == stage:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            api.run(self.resource, workdir=self.work, observer=observer)
        return told

    def folder(self, round_number: int) -> Path:
        """Where the store keeps a round that came to an end."""
        attempt = next(item.attempt for item in self.lineage.rounds if item.round == round_number)
        return self.store / "rounds" / f"{round_number:04d}" / f"attempt-{attempt}"

    def record(self, round_number: int) -> RoundRecord:
        """What such a round says of itself."""
        return RoundRecord.model_validate_json((self.folder(round_number) / "record.json").read_bytes())

    def weights(self, round_number: int) -> str:
        """A digest of a round's published weights, bit by bit; the file's own header has no fixed order."""
        digest = hashlib.sha256()
        for name, tensor in sorted(load_file(self.folder(round_number) / "model.safetensors").items()):
            digest.update(name.encode())
            digest.update(tensor.tobytes())
        return digest.hexdigest()

    def copy_to(self, root: Path, capture: pytest.CaptureFixture[str] | None = None) -> TestLine:
        """The line as it stands, with a store and a work folder of its own."""
        root.mkdir(parents=True, exist_ok=True)
        if self.store.exists():
            shutil.copytree(self.store, root / "store")
        copied = json.loads(json.dumps(self.spec))
        copied["store"]["uri"] = (root / "store").as_uri()
        return TestLine(root, copied, capture)


def trained_in(told: Sequence[Event]) -> bool:
    """Whether any epoch ended in what `TestLine.stop_before` gave."""
    return any(isinstance(event, EpochFinished) for event in told)


def expect(error: dict[str, Any], code: int, where: str, found: str, mend: str) -> None:
    """An error of `TestLine.refused` is of this kind and says this."""
    assert error["exitCode"] == code, error
    assert where in error["where"], error
    assert found in error["found"], error
    assert mend in error["mend"], error


def in_child(work: Callable[[], object], timeout_s: float = 60.0) -> int:
    """Do `work` in a fork of this process, which has torch loaded; gives what `os.waitpid` says of its end."""
    child = start_child(work)
    return await_child(child, timeout_s)


def start_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 99
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def await_child(child: int, timeout_s: float = 60.0) -> int:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError(f"the child was still at work after {timeout_s} s")
