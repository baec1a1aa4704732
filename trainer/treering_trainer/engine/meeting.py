"""Where the nodes of one training meet: node 0 keeps a small store that the others reach over the network.

    node 0        host ─► (fetch … prepare) ─► open_training(parcel) ─► train ─► end_training ─► (evaluate …) ─► close
    other nodes   join ─► (fetch) ─► next_training() gives the parcel ─► train, or None: it has ended

Every node tells every few seconds that it lives, under a name of its own, so that the loss of a node is noticed, and so
is another pod in its place. Node 0 waits for all nodes; those wait for node 0, which may come much earlier or later.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]  # its stubs forget it

from treering_api import ResumableError, TreeringError
from treering_trainer.engine.channel import Failure
from treering_trainer.engine.crew import Crew

PULSE_S = 3.0
SILENCE_S = 60.0
"""So long a node may say nothing before it counts as lost."""
COMING_TIMEOUT_S = 3600.0
"""So long a node waits for the others: pods of one Job may be scheduled far apart."""
ASK_TIMEOUT = timedelta(seconds=30)
LINGER_S = 3.0
_POLL_S = 0.25
_CHUNK_BYTES = 4 * 1024 * 1024  # torch's store takes no more than 8 MiB at once

T = TypeVar("T")
Check = Callable[[], None]
"""Called while waiting; raises where waiting must end."""


class LostError(ResumableError):
    """Another node is gone, or its network."""


class Meeting:
    """One node's end of the store; a context manager.

    Args:
        store: connected to node 0's.
        crew: seen from this node.
    """

    def __init__(self, store: TCPStore, crew: Crew) -> None:
        self.crew = crew
        self.port = store.port
        self.name = uuid.uuid4().hex
        self._store: Any = store  # takes bytes as well, which its stubs do not say
        self._heard: dict[int, tuple[bytes, float]] = {}
        self._roster: dict[int, str] = {}
        self._left = threading.Event()
        self._set(f"failed/{crew.node}", b"")
        self._pulse(store, 0)
        threading.Thread(target=self._keep_pulsing, args=(store.clone(),), name="node-pulse", daemon=True).start()

    def open_training(self, parcel: bytes, check: Check) -> None:
        """Node 0: wait for all nodes, then hand them `parcel`.

        Raises:
            ResumableError: a node did not come.
        """
        self._await(lambda: all(self._name_of(node) for node in self._others()), check, self._missing)
        roster = {node: self._name_of(node) for node in range(self.crew.nodes)}
        packed = zlib.compress(parcel, 1)
        chunks = [packed[start : start + _CHUNK_BYTES] for start in range(0, len(packed), _CHUNK_BYTES)]
        for place, chunk in enumerate(chunks):
            self._set(f"parcel/{place}", chunk)
        self._roster = roster
        self._set("roster", json.dumps({"names": roster, "chunks": len(chunks)}).encode())

    def next_training(self, check: Check) -> bytes | None:
        """Other nodes: the parcel of the training that this node takes part in; None where training has ended.

        Raises:
            LostError: node 0 is gone.
        """
        while True:
            check()
            self._refuse_silence(0)
            if self._get("over"):
                return None
            opened = json.loads(self._get("roster") or b"{}")
            if opened and opened["names"][str(self.crew.node)] == self.name:
                self._roster = {int(node): name for node, name in opened["names"].items()}
                return zlib.decompress(b"".join(self._get(f"parcel/{place}") for place in range(opened["chunks"])))
            time.sleep(_POLL_S)  # or another pod in this one's place takes part, until node 0 notices

    def end_training(self) -> None:
        """Node 0: who comes now has nothing to do."""
        self._set("over", b"1")

    @property
    def training(self) -> str:
        """A name for the training that was opened."""
        return self._roster[0]

    def check(self) -> None:
        """Raise where a node of this training failed or is gone.

        Raises:
            TreeringError: what the other node said, or LostError.
        """
        for node in self._others():
            said = self._get(f"failed/{node}")
            if said:
                raise Failure(**json.loads(said)).error()
            if self._name_of(node) != self._roster.get(node, self._name_of(node)):
                raise _lost(node, "another pod has come in its place")
            if self.crew.node == 0 or node == 0:
                self._refuse_silence(node)

    def tell_failure(self, error: TreeringError) -> None:
        """Tell the other nodes why this one ends."""
        if isinstance(error, LostError):
            return  # they are lost from each other's sight; each says so itself
        failure = vars(Failure.of(self.crew.node, error)) | {"where": f"node {self.crew.node}: {error.where}"}
        with suppress(LostError):
            self._set(f"failed/{self.crew.node}", json.dumps(failure).encode())
            if self.crew.node == 0:
                time.sleep(LINGER_S)  # the store ends with this process

    def close(self) -> None:
        """Leave; on node 0, that ends the store with the process."""
        self._left.set()

    def __enter__(self) -> Meeting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, TreeringError):
            self.tell_failure(error)
        self.close()

    def _others(self) -> list[int]:
        return [node for node in range(self.crew.nodes) if node != self.crew.node]

    def _missing(self) -> str:
        return ", ".join(str(node) for node in self._others() if not self._name_of(node))

    def _name_of(self, node: int) -> str:
        return self._get(f"pulse/{node}").partition(b" ")[0].decode()

    def _refuse_silence(self, node: int) -> None:
        pulse, now_s = self._get(f"pulse/{node}"), time.monotonic()
        before, since_s = self._heard.get(node, (b"", now_s))
        if pulse != before:
            self._heard[node] = (pulse, now_s)
        elif now_s - since_s > SILENCE_S:
            raise _lost(node, f"it has said nothing for {SILENCE_S:.0f} s")

    def _await(self, ready: Callable[[], bool], check: Check, missing: Callable[[], str]) -> None:
        end_s = time.monotonic() + COMING_TIMEOUT_S
        while not ready():
            check()
            if time.monotonic() > end_s:
                raise _absent(missing())
            time.sleep(_POLL_S)

    def _keep_pulsing(self, store: TCPStore) -> None:
        beat = 0
        while not self._left.wait(PULSE_S):
            beat += 1
            try:
                self._pulse(store, beat)
            except LostError:
                return  # the main thread finds out by itself

    def _pulse(self, store: TCPStore, beat: int) -> None:
        self._ask(lambda: store.set(f"pulse/{self.crew.node}", f"{self.name} {beat}"))

    def _set(self, key: str, value: bytes) -> None:
        self._ask(lambda: self._store.set(key, value))

    def _get(self, key: str) -> bytes:
        """The value, empty where there is none."""
        return self._ask(lambda: self._store.get(key) if self._store.check([key]) else b"")

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except (DistError, RuntimeError) as error:
            found = f"the store on {self.crew.host} port {self.port} does not answer"
            raise _lost(0, f"{found} ({str(error).splitlines()[0]})") from error


def host_meeting(crew: Crew) -> Meeting:
    """Node 0's end; on a node alone, only the place where its processes find each other.

    Raises:
        ResumableError: the port can't be had.
    """
    try:
        store = TCPStore("127.0.0.1", crew.port, None, True, ASK_TIMEOUT, wait_for_workers=False, multi_tenant=True)
    except (DistError, RuntimeError) as error:
        raise ResumableError(
            "node 0",
            f"port {crew.port} can't be listened on ({str(error).splitlines()[0]})",
            "Stop what listens there, then run again",
        ) from error
    return Meeting(store, crew)


def join_meeting(crew: Crew, check: Check) -> Meeting:
    """Another node's end, as soon as node 0 can be reached; its name may not be known at first.

    Raises:
        ResumableError: node 0 did not come.
    """
    end_s = time.monotonic() + COMING_TIMEOUT_S
    while True:
        check()
        if _reachable(crew):
            try:
                store = TCPStore(crew.host, crew.port, None, False, ASK_TIMEOUT, wait_for_workers=False)
                return Meeting(store, crew)
            except (DistError, RuntimeError, LostError):
                pass  # it went in this moment
        if time.monotonic() > end_s:
            raise _absent("0")
        time.sleep(4 * _POLL_S)


def _reachable(crew: Crew) -> bool:
    """Whether node 0 listens; torch's own waiting for it could not be interrupted."""
    try:
        socket.create_connection((crew.host, crew.port), timeout=5).close()
    except OSError:
        return False
    return True


def _lost(node: int, found: str) -> LostError:
    return LostError(f"node {node}", f"lost: {found}", "Run again: the round goes on at its last full epoch.")


def _absent(nodes: str) -> ResumableError:
    minutes = COMING_TIMEOUT_S / 60
    return ResumableError(
        f"node {nodes}",
        f"did not come within {minutes:.0f} minutes",
        "See why its pod does not start (a queue starts all pods of a round together), then run again.",
    )
