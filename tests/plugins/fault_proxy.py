"""An HTTP proxy that breaks S3 in the ways TCP proxies can't: ask for `fault_proxy`, then say what goes wrong when.

It stands before the ministack of `s3_server`, passes everything on, and does each planned fault once to the next
request of the planned method. `seen` lists what was asked, faults included.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

import pytest

from tests.plugins.s3_servers import S3Bucket

Fault = Literal["slow down", "conflict", "internal error", "break off", "shorten", "flip a bit", "lose the answer"]
REFUSALS: dict[str, tuple[int, str]] = {
    "slow down": (503, "SlowDown"),
    "conflict": (409, "ConditionalRequestConflict"),
    "internal error": (500, "InternalError"),
}


@dataclass
class FaultProxy:
    """Where to connect, what to break, what was seen."""

    backend: str
    endpoint: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)
    _planned: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, method: str, *faults: Fault) -> None:
        """The next requests of this method go wrong, one by one."""
        with self._lock:
            self._planned += [(method, fault) for fault in faults]

    def next_fault(self, method: str, path: str) -> str:
        """The fault for a request, empty for none; strikes it off the plan."""
        with self._lock:
            fault = next((fault for planned, fault in self._planned if planned == method), "")
            if fault:
                self._planned.remove((method, fault))
            self.seen.append((method, fault))
            return fault

    def assert_all_happened(self) -> None:
        assert not self._planned, f"never happened: {self._planned}"


@pytest.fixture
def fault_proxy(s3_server: S3Bucket) -> Iterator[FaultProxy]:
    proxy = FaultProxy(s3_server.endpoint)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield proxy
    server.shutdown()
    server.server_close()
    thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def _serve(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.next_fault(self.command, self.path)
        if fault in REFUSALS:
            self._refuse(*REFUSALS[fault])
            return
        status, headers, body = self._forward(sent)
        if fault == "lose the answer":
            self.close_connection = True
            return
        self._answer(status, headers, body, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve  # noqa: N815 - the standard library's names

    def _forward(self, sent: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        backend = http.client.HTTPConnection(urlsplit(self.proxy.backend).netloc, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        backend.request(self.command, self.path, sent, headers)
        answer = backend.getresponse()
        body = answer.read()
        backend.close()
        return answer.status, answer.getheaders(), body

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>planned</Message></Error>".encode()
        self._answer(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body, "")

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, fault: str) -> None:
        if fault == "flip a bit":
            body = bytes([body[0] ^ 1]) + body[1:]
        shown = body[: len(body) // 2] if fault in ("break off", "shorten") else body
        self.send_response_only(status)
        for name, value in headers:
            length = fault == "shorten" and name.lower() == "content-length"
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, str(len(shown)) if length else value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(shown)
        if fault == "break off":
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: pytest's output is for failures."""
