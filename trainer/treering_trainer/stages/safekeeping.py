"""Keeping a training safe while it runs: now and then its last checkpoint goes to the store, and at once on a stop.

A thread beside the round looks at the checkpoint file, whichever process writes it; the training never waits for it.
Called by `run` in pods. Kubernetes gives a pod 120 seconds to end: what is not in the store by then stays out, and the
checkpoint before it counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from treering_api import BadDataError, BadSpecError, StoreError, TreeringError
from treering_trainer.engine.checkpoint import glimpse
from treering_trainer.line import checkpoint_folder
from treering_trainer.progress import Measured, Message
from treering_trainer.records import FileEntry
from treering_trainer.stages.checkpoints import TRAINING, bring, link, prune
from treering_trainer.stages.workbench import Workbench

INTERVAL_S = 300.0
"""What a node that dies without a word costs at most, besides the epoch under way."""
LAST_WAIT_S = 90.0
_LOOK_S = 0.2
_RETRY_S = 30.0
_USELESS = (BadSpecError, BadDataError, StoreError, KeyboardInterrupt)
"""What ends a round so that nobody goes on from here, or so that nothing can be brought anyway."""


@contextmanager
def kept_safe(bench: Workbench, interval_s: float) -> Iterator[None]:
    """Keep the training of the round inside safe; a round that is stopped leaves its last full epoch in the store."""
    keeper = _Keeper(bench, interval_s)
    keeper.start()
    try:
        yield
    except BaseException as error:
        keeper.end(last=not isinstance(error, _USELESS))
        _tell_cost(bench)
        raise
    keeper.end(last=False)


class _Keeper(threading.Thread):
    """Brings checkpoints that this process's training wrote, one at a time."""

    def __init__(self, bench: Workbench, interval_s: float) -> None:
        super().__init__(name="safekeeping", daemon=True)
        self._bench = bench
        self._interval_s = interval_s
        self._training = bench.folder / TRAINING
        self._brought = _stamp(self._training)  # what was there before is in the store or stays in this folder
        self._work: dict[str, FileEntry] = {}
        self._due_s = time.monotonic() + interval_s
        self._hurried = False
        self._ending = threading.Event()
        self._last = False

    def run(self) -> None:
        """Look, bring, and at the end bring once more."""
        while not self._ending.wait(_LOOK_S):
            if self._bench.stop.requested and not self._hurried:
                self._hurried, self._due_s = True, time.monotonic()
            if time.monotonic() >= self._due_s:
                self._bring()
        if self._last:
            self._bring()

    def end(self, *, last: bool) -> None:
        """End, after a last look if there is something to keep."""
        self._last = last
        self._ending.set()
        self.join(LAST_WAIT_S if last else _LOOK_S)
        if last and self.is_alive():
            self._bench.warn(f"the last checkpoint was not in the store within {LAST_WAIT_S:.0f} s: it is left out")

    def _bring(self) -> None:
        stamp = _stamp(self._training)
        if stamp is None or stamp == self._brought:
            return
        try:
            epochs = self._send()
        except (TreeringError, OSError) as error:
            self._due_s = time.monotonic() + min(self._interval_s, _RETRY_S)
            self._bench.warn(f"the checkpoint can't be brought to the store; the round goes on. {error}")
        else:
            self._brought, self._due_s = stamp, time.monotonic() + self._interval_s
            self._bench.observer(Message("info", f"the training is safe in the store up to epoch {epochs}"))

    def _send(self) -> int:
        bench, copy = self._bench, self._training.with_name(".safe.pt")
        link(self._training, copy)
        seen = glimpse(copy)
        assert seen is not None, "our own checkpoint can't be read"
        store = bench.line.store.at(checkpoint_folder(bench.plan.round, bench.attempt))
        bring(store, bench.folder, copy, seen.epochs, self._work)
        copy.unlink()
        prune(bench.line, bench.plan.round, bench.attempt)
        return seen.epochs


def _tell_cost(bench: Workbench) -> None:
    """GPU time of a training that was cut off; one that ended has told it itself."""
    seen = glimpse(bench.folder / TRAINING)
    if bench.device != "cpu" and seen is not None and bench.find("train") is None:
        bench.observer(Measured("treering_round_gpu_seconds_total", seen.seconds))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_ino
