"""A line of two deliveries, grown once by its first round; every test gets a copy of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugins.lines import TINY, TestLine, draw_delivery


@dataclass(frozen=True)
class Deliveries:
    """What was delivered, and the architecture to start from."""

    root: Path

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Forked children must find no pool of threads that did not come with them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    root = tmp_path_factory.mktemp("deliveries")
    (root / "tiny.yaml").write_text(TINY)
    draw_delivery(root / "w1", ("ring", "bark"), 8, seed=1)
    draw_delivery(root / "w2", ("leaf",), 6, seed=2)
    draw_delivery(root / "w3", ("root",), 6, seed=3)
    draw_delivery(root / "golden", ("leaf", "ring", "bark"), 6, seed=9, split="val")
    return Deliveries(root)


def new_line(root: Path, deliveries: Deliveries, capture: pytest.CaptureFixture[str] | None = None) -> TestLine:
    """A line that never ran, with its first delivery listed."""
    spec = {
        "model": {"base": deliveries.uri("tiny.yaml"), "imageSize": 64},
        "store": {"uri": (root / "store").as_uri()},
        "increments": [{"name": "w1", "uri": deliveries.uri("w1")}],
        "evaluation": {
            "holdouts": [{"name": "golden", "uri": deliveries.uri("golden")}],
            "gate": {"maxForgetting": 1.0},
        },
        "training": {"epochs": 2, "batch": 4, "workers": 0},
        "strategy": "incremental",
    }
    return TestLine(root, spec, capture)


@pytest.fixture
def line(tmp_path: Path, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]) -> TestLine:
    """A line that never ran."""
    return new_line(tmp_path, deliveries, capsys)


@pytest.fixture(scope="session")
def grown_once(tmp_path_factory: pytest.TempPathFactory, deliveries: Deliveries) -> TestLine:
    """A line after its first round; never touched again."""
    from treering_trainer import api

    line = new_line(tmp_path_factory.mktemp("grown"), deliveries)
    done = api.run(line.resource, workdir=line.work)
    assert [summary.verdict for summary in done.rounds] == ["published"]
    line.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    return line


@pytest.fixture
def grown(grown_once: TestLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> TestLine:
    """A line with one model; its second delivery is listed and outstanding."""
    return grown_once.copy_to(tmp_path / "grown", capsys)


@pytest.fixture(scope="session")
def second_weights(grown_once: TestLine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the second round publishes when nothing goes wrong."""
    from treering_trainer import api

    line = grown_once.copy_to(tmp_path_factory.mktemp("reference") / "line")
    api.run(line.resource, workdir=line.work)
    return line.weights(2)
