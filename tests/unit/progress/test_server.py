"""The real server over a real socket."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from treering_api.errors import BadSpecError, ResumableError
from treering_trainer.progress import Event, ProgressServer, ProgressState

Reply = tuple[int, str, str]


def ask(server: ProgressServer, path: str, method: str = "GET") -> Reply:
    """Status, content type and body."""
    connection = HTTPConnection(server.host, server.port, timeout=5)
    connection.request(method, path)
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    return reply.status, reply.headers["Content-Type"], body


def test_progress__is_the_snapshot(server: ProgressServer, state: ProgressState, whole_round: Iterator[Event]) -> None:
    status, kind, body = ask(server, "/progress")
    assert (status, kind) == (200, "application/json; charset=utf-8")
    assert json.loads(body)["phase"] == "waiting"
    for event in whole_round:
        state(event)
    data = json.loads(ask(server, "/progress?pretty=1")[2])
    assert data == state.snapshot().data()
    assert (data["phase"], data["percent"], data["epoch"], data["epochs"]) == ("finished", 100.0, 4, 4)
    assert data["result"]["map50"] == 0.912


def test_healthz__says_ok(server: ProgressServer) -> None:
    status, _, body = ask(server, "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/", "/metric", "/progress/", "/../etc/passwd"])
def test_other_paths__are_404_in_json(server: ProgressServer, path: str) -> None:
    status, kind, body = ask(server, path)
    assert (status, kind) == (404, "application/json; charset=utf-8")
    assert json.loads(body) == {"error": f"no such path: {path}", "paths": ["/progress", "/metrics", "/healthz"]}


@pytest.mark.parametrize("method", ["POST", "DELETE", 'BR"EW'])
def test_other_methods__are_refused_in_json(server: ProgressServer, method: str) -> None:
    with socket.create_connection((server.host, server.port), timeout=5) as client:
        client.sendall(f"{method} /progress HTTP/1.0\r\n\r\n".encode())
        head, _, body = client.makefile("rb").read().decode().partition("\r\n\r\n")
    assert " 501 " in head.splitlines()[0]
    assert "Unsupported method" in json.loads(body)["error"]


def test_head__has_no_body(server: ProgressServer) -> None:
    assert ask(server, "/healthz", method="HEAD") == (200, "application/json; charset=utf-8", "")


def test_server__answers_many_at_once(
    server: ProgressServer, state: ProgressState, whole_round: Iterator[Event]
) -> None:
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda path=path: replies.append(ask(server, path)))
        for path in ("/progress", "/metrics", "/healthz") * 5
    ]
    for thread in threads:
        thread.start()
    for event in whole_round:
        state(event)
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in replies] == [200] * 15


def test_server__a_client_that_says_nothing_blocks_nobody(server: ProgressServer) -> None:
    with socket.create_connection((server.host, server.port)):
        assert ask(server, "/healthz")[0] == 200


def test_server__a_taken_port_is_named_with_the_mend(server: ProgressServer, state: ProgressState) -> None:
    with pytest.raises(ResumableError) as caught:
        ProgressServer(state, "127.0.0.1", server.port)
    assert str(caught.value) == (
        f"127.0.0.1:{server.port}: the progress server can't listen here, the port is in use. "
        "Stop the process that listens there, or choose another port; port 0 takes any free one."
    )


@pytest.mark.parametrize(
    ("host", "port", "mend"),
    [
        pytest.param("192.0.2.1", 0, "Choose an address of this machine", id="an address of another machine"),
        pytest.param("no-such-host.invalid", 0, "Choose an address of this machine", id="an unknown name"),
        pytest.param("127.0.0.1", 70000, "Ports are 0 to 65535", id="a port out of range"),
        pytest.param("127.0.0.1", -1, "Ports are 0 to 65535", id="a negative port"),
    ],
)
def test_server__an_impossible_address_is_a_bad_spec(state: ProgressState, host: str, port: int, mend: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        ProgressServer(state, host, port)
    assert caught.value.where == f"{host}:{port}"
    assert mend in caught.value.mend


def test_server__a_port_for_root_alone_is_a_bad_spec(state: ProgressState, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("socketserver.TCPServer.server_bind", refuse)  # tests may run as root, who is refused nothing
    with pytest.raises(BadSpecError, match="1024 or higher"):
        ProgressServer(state, "127.0.0.1", 80)


def test_server__listens_on_ipv6(state: ProgressState) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with ProgressServer(state, "::1", 0) as server:
        assert server.url == f"http://[::1]:{server.port}"
        assert ask(server, "/healthz")[0] == 200


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_close__frees_port_and_thread_and_may_come_twice(state: ProgressState) -> None:
    server = ProgressServer(state, "127.0.0.1", 0)
    server.close()
    server.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "progress-server"]
    with pytest.raises(ConnectionRefusedError):
        ask(server, "/healthz")
    with ProgressServer(state, "127.0.0.1", server.port) as again:
        assert ask(again, "/healthz")[0] == 200


def test_server__writes_nothing_to_the_terminal(server: ProgressServer, capfd: pytest.CaptureFixture[str]) -> None:
    ask(server, "/progress")
    ask(server, "/nothing")
    with socket.create_connection((server.host, server.port)) as rude:
        rude.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        rude.recv(1000)
    assert capfd.readouterr() == ("", "")
