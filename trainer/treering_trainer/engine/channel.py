"""How a rank's process and the one that started it talk: events and errors up, a stop down.

A socket in a folder that only this user may enter. Whichever end dies, the other notices: a rank without its parent
ends itself.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType

from treering_api import ExitCode, TreeringError
from treering_trainer.engine.stop import StopRequest
from treering_trainer.progress import Event


@dataclass(frozen=True)
class Failure:
    """Why a rank ended early.

    Args:
        exit_code: of the process, and of the error it stands for.
        trace: the traceback, where it is no user's error.
    """

    rank: int
    exit_code: ExitCode
    where: str
    found: str
    mend: str
    trace: str = ""

    @classmethod
    def of(cls, rank: int, error: TreeringError) -> Failure:
        """What a user's error becomes on its way."""
        return cls(rank, error.exit_code, error.where, error.found, error.mend)

    def error(self) -> TreeringError:
        """The error again, with the exit code it had."""
        error = TreeringError(self.where, self.found, self.mend)
        kinds = {kind.exit_code: kind for kind in TreeringError.__subclasses__()}
        return kinds.get(self.exit_code, TreeringError)(*error.args)


Message = Event | Failure


class Channel:
    """The parent's end: a queue of what ranks say; a context manager."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="treering-ranks-")  # mode 0700
        self.folder = Path(self._temporary.name)
        self.address = str(self.folder / "parent")
        self._listener = Listener(self.address, "AF_UNIX")
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._links: list[Connection] = []
        self._stop_reason = ""
        self._closed = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="ranks-accept", daemon=True).start()

    def next_message(self, timeout_s: float) -> Message | None:
        """What a rank said, the oldest first; None where nobody says anything for so long."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def ask_to_stop(self, reason: str) -> None:
        """Ask every rank to stop, also those that have not come yet."""
        with self._lock:
            self._stop_reason = reason
            for link in self._links:
                with suppress(OSError):
                    link.send(reason)

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with suppress(OSError):
            Client(self.address, "AF_UNIX").close()  # wakes who accepts
        self._listener.close()
        with self._lock:
            for link in self._links:
                link.close()
        self._temporary.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                link = self._listener.accept()
            except OSError:
                return
            if self._closed:
                link.close()
                return
            with self._lock:
                self._links.append(link)
                if self._stop_reason:
                    link.send(self._stop_reason)
            threading.Thread(target=self._listen, args=(link,), name="ranks-listen", daemon=True).start()

    def _listen(self, link: Connection) -> None:
        with suppress(EOFError, OSError, TypeError):  # TypeError: closed by another thread while it waited
            while True:
                self._messages.put(link.recv())


class Link:
    """A rank's end.

    Args:
        stop: is asked for when the parent asks.
    """

    def __init__(self, address: str, stop: StopRequest) -> None:
        self._connection = Client(address, "AF_UNIX")
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, args=(stop,), name="parent-listen", daemon=True).start()

    def say(self, message: Message) -> None:
        """Tell the parent; a parent that is gone hears nothing, and this process is about to end."""
        with self._lock, suppress(OSError):
            self._connection.send(message)

    def _listen(self, stop: StopRequest) -> None:
        with suppress(EOFError, OSError):
            while True:
                stop.request(self._connection.recv())
        os._exit(ExitCode.RESUMABLE)  # nobody waits for the result any more
