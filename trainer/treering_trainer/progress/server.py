"""The round over HTTP, for the operator, Prometheus, probes and the curious.

Started by the command line beside a round; a daemon thread that only reads the state. It promises three paths:

    GET /progress   the snapshot as JSON            (`Snapshot.data`)
    GET /metrics    Prometheus text, or OpenMetrics where the client asks for it
    GET /healthz    `{"status": "ok"}` while the process lives

Anything else is a 404 in JSON. Nothing is written to the terminal.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from treering_api.errors import BadSpecError, ResumableError, TreeringError
from treering_trainer.progress.exposition import registry
from treering_trainer.progress.state import ProgressState

PATHS = ("/progress", "/metrics", "/healthz")

_JSON = "application/json; charset=utf-8"
_CLIENT_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


class ProgressServer:
    """Serves one `ProgressState` from construction until `close`; a context manager.

    Args:
        state: what is served.
        host: address to listen on: `127.0.0.1`, `0.0.0.0`, `::`, a name.
        port: 0 takes any free one; `port` then says which.

    Raises:
        ResumableError: something else listens on the address.
        BadSpecError: the host isn't an address of this machine, or the port can't be used.
    """

    def __init__(self, state: ProgressState, host: str, port: int) -> None:
        self._server = _listen(state, host, port)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="progress-server", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """`http://host:port`, to put a path behind."""
        return f"http://{_address(self.host, self.port)}"

    def close(self) -> None:
        """Stop serving and free the port; harmless when done before."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> ProgressServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listen(state: ProgressState, host: str, port: int) -> _Server:
    server_class = _ServerV6 if ":" in host else _Server
    try:
        return server_class((host, port), state)
    except (OSError, OverflowError) as error:
        raise _listen_error(error, _address(host, port)) from error


def _listen_error(error: OSError | OverflowError, where: str) -> TreeringError:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        mend = "Stop the process that listens there, or choose another port; port 0 takes any free one."
        return ResumableError(where, "the progress server can't listen here, the port is in use", mend)
    if isinstance(error, OverflowError):
        return BadSpecError(where, "not a port", "Ports are 0 to 65535; 0 takes any free one.")
    if code == errno.EACCES:
        mend = "Choose a port of 1024 or higher; port 0 takes any free one."
        return BadSpecError(where, "the progress server isn't allowed to listen here", mend)
    reason = error.strerror or str(error)
    mend = "Choose an address of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for everyone who can reach it."
    return BadSpecError(where, f"the progress server can't listen here ({reason})", mend)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_port = False  # two rounds on one port would each get half of the requests

    def __init__(self, address: tuple[str, int], state: ProgressState) -> None:
        self.state = state
        self.registry: CollectorRegistry = registry(state)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of HTTPServer, which hangs where DNS is slow."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Keep a client that went away out of the terminal."""
        _log.debug("request from %s failed", client_address, exc_info=True)


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "treering"
    sys_version = ""
    timeout = _CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer one of `PATHS`."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._metrics()
        elif path == "/progress":
            self._json(HTTPStatus.OK, self.server.state.snapshot().data())
        elif path == "/healthz":
            self._json(HTTPStatus.OK, {"status": "ok"})
        else:
            self._json(HTTPStatus.NOT_FOUND, {"error": f"no such path: {path}", "paths": list(PATHS)})

    def do_HEAD(self) -> None:
        """Answer like GET, without the body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what the base class refuses (other methods, broken requests) in JSON too."""
        self._json(HTTPStatus(code), {"error": message or HTTPStatus(code).phrase})

    def log_message(self, format: str, *args: object) -> None:
        """Keep the access log out of the bars."""
        _log.debug(format, *args)

    def _metrics(self) -> None:
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._reply(HTTPStatus.OK, content_type, encode(self.server.registry))

    def _json(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        self._reply(status, _JSON, json.dumps(body, allow_nan=False).encode() + b"\n")

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
