"""Ranks as forks of the test's process, where torch is loaded already: they talk over gloo on the loopback."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.plugins.lines import await_child, start_child
from tests.plugins.programs import free_port
from treering_trainer.engine.ranks import Rank, join_ranks


def in_ranks(count: int, folder: Path, work: Callable[[Rank], Any], timeout_s: float = 60.0) -> list[Any]:
    """Do `work` on so many ranks; gives what each returned, made of tensors and plain values."""
    folder.mkdir(parents=True, exist_ok=True)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}

    def as_rank(number: int) -> None:
        os.environ.update(place, RANK=str(number))
        try:
            with join_ranks(gpu=False) as rank:
                result = work(rank)
        except BaseException:
            (folder / f"{number}.txt").write_text(traceback.format_exc())
            raise
        torch.save(result, folder / f"{number}.pt")

    children = [start_child(lambda number=number: as_rank(number)) for number in range(count)]  # type: ignore[misc]
    codes = [await_child(child, timeout_s) for child in children]
    told = "\n".join(path.read_text() for path in sorted(folder.glob("*.txt")))
    assert codes == [0] * count, told
    return [torch.load(folder / f"{number}.pt", weights_only=False) for number in range(count)]
