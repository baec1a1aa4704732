"""The script of `helm test`, run as the pod runs it, against servers that answer well and badly."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.plugins.helm import CHART

SERVED = {"resources": [{"name": "incrementaltrains"}, {"name": "incrementaltrains/status"}]}
GOOD = {
    "/readyz": (200, "ok"),
    "/metrics": (200, 'treering_operator_build_info{version="0.1.0"} 1\n'),
    "/apis/treering.dev/v1alpha1": (200, json.dumps(SERVED)),
}
Answers = dict[str, tuple[int, str]]


@contextmanager
def serving(answers: Answers, certificate: Path | None = None) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answers.get(self.path, (404, "nothing here"))
            if certificate and self.headers["Authorization"] != "Bearer t0ken":
                status, text = 401, "who are you"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service account's folder, and a certificate for 127.0.0.1 beside it."""
    folder = tmp_path_factory.mktemp("account")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(folder / "key"),
        "-out",
        str(folder / "ca.crt"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key").read_text() + (folder / "ca.crt").read_text())
    (folder / "token").write_text("t0ken")
    return folder


def run(account: Path, answers: Answers) -> subprocess.CompletedProcess[str]:
    with serving(answers) as operator, serving(answers, account / "both.pem") as cluster:
        ports = {
            "MY_TREERING_SERVICE_HOST": "127.0.0.1",
            "MY_TREERING_SERVICE_PORT": str(operator),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(cluster),
        }
        own = {"OPERATOR_SERVICE": "my-treering", "ACCOUNT_DIR": str(account), "TIMEOUT_SECONDS": "0"}
        return subprocess.run(
            [sys.executable, "-I", str(CHART / "files" / "ready.py")],
            env={"PATH": os.environ["PATH"], **ports, **own},
            capture_output=True,
            text=True,
            check=False,
        )


def test_script__is_content_when_all_is_well(account: Path) -> None:
    done = run(account, GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": yes") == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"/readyz": (503, "lines: not listed yet")}, "503: lines: not listed yet", id="not-ready"),
        pytest.param({"/metrics": (200, "python_info 1")}, "lacks treering_operator_build_info", id="foreign-metrics"),
        pytest.param({"/apis/treering.dev/v1alpha1": (404, "no")}, "404: no", id="no-crd"),
        pytest.param(
            {"/apis/treering.dev/v1alpha1": (200, '{"resources": [{"name": "incrementaltrains"}]}')},
            "not served: incrementaltrains/status",
            id="no-status",
        ),
    ],
)
def test_script__says_what_is_wrong(account: Path, wrong: Answers, said: str) -> None:
    done = run(account, GOOD | wrong)
    assert (done.returncode, done.stderr) == (1, "")
    assert said in done.stdout


def test_script__nobody_answers(account: Path) -> None:
    own = {"OPERATOR_SERVICE": "treering", "ACCOUNT_DIR": str(account), "TIMEOUT_SECONDS": "0"}
    ports = {"TREERING_SERVICE_HOST": "127.0.0.1", "TREERING_SERVICE_PORT": "1"}
    command = [sys.executable, "-I", str(CHART / "files" / "ready.py")]
    done = subprocess.run(command, env={**own, **ports}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Connection refused" in done.stdout
