"""What the tests of the operator share: a line to apply, and pods that are played."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.plugins.api_server import LINES, ApiServer, Refusal
from tests.plugins.played_rounds import Player, Trainer
from tests.plugins.pods import Kubelet
from tests.plugins.programs import wait_until

JOBS = "/apis/batch/v1"


@dataclass(frozen=True)
class World:
    """One namespace, a trainer who plays its pods, and what is in it."""

    server: ApiServer
    namespace: str
    trainer: Trainer
    player: Player

    def apply(self, name: str = "cards", *increments: str, **spec: Any) -> None:
        """Apply a line with these increments as a user would."""
        listed = [{"name": one, "uri": f"s3://data/{one}"} for one in increments]
        document = {
            "apiVersion": "treering.dev/v1alpha1",
            "kind": "IncrementalTrain",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "model": {"base": "yolo11n.pt"},
                "store": {"uri": f"s3://bucket/{name}"},
                "increments": listed,
                **spec,
            },
        }
        path = f"{LINES}/namespaces/{self.namespace}/incrementaltrains/{name}?fieldManager=user&force=true"
        self.server.request("PATCH", path, document, patch="apply")

    def line(self, name: str = "cards") -> dict[str, Any]:
        """The line as it is now."""
        found: dict[str, Any] = self.server.request(
            "GET", f"{LINES}/namespaces/{self.namespace}/incrementaltrains/{name}"
        )
        return found

    def status(self, name: str = "cards") -> dict[str, Any]:
        """Its status; empty before the first."""
        status: dict[str, Any] = self.line(name).get("status", {})
        return status

    def jobs(self) -> list[dict[str, Any]]:
        """Jobs of the namespace, by name."""
        found = self.server.request("GET", f"{JOBS}/namespaces/{self.namespace}/jobs")["items"]
        return sorted(found, key=lambda job: str(job["metadata"]["name"]))

    def delete(self, name: str = "cards") -> None:
        """Delete the line."""
        self.server.request("DELETE", f"{LINES}/namespaces/{self.namespace}/incrementaltrains/{name}")

    def wait(self, what: str, true: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Wait until it is true, telling the line's status where it never becomes so."""
        wait_until(f"{what} in {self.namespace}", true, timeout_s)

    def play_until_learned(self, count: int, name: str = "cards", timeout_s: float = 90.0) -> None:
        """Play pods until so many increments are learned and nothing is left to do."""

        def learned() -> bool:
            status = self.status(name)
            return len(status.get("learned", ())) == count and status.get("state") == "UpToDate"

        self.player.play_until(learned, timeout_s)

    def is_there(self, path: str) -> bool:
        """Whether the API server has it."""
        try:
            return bool(self.server.request("GET", path))
        except Refusal as refusal:
            if refusal.code == 404:
                return False
            raise


@pytest.fixture
def world(api_server: ApiServer, namespace: str) -> World:
    trainer = Trainer()
    return World(api_server, namespace, trainer, Player(Kubelet(api_server, namespace), trainer))


class _Progress(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer like a pod in the middle of its training."""
        said = {"round": 1, "attempt": 1, "percent": 42, "stage": "train", "epoch": 2, "epochs": 5, "eta_s": 60.0}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def progress_server() -> Iterator[int]:
    """The port on which a played pod answers /progress."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Progress)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(5)
