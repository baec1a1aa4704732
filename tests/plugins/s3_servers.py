"""Real S3 servers from PyPI, on loopback: `ministack` keeps conditions, `rclone` checks signatures.

Ask for `s3_server` (a fresh bucket on ministack, credentials in the environment) or for `ministack` or `rclone` and
`use(server, monkeypatch)`. A server starts with the first test that needs it and ends with the session; one that can't
be started fails the tests, it never skips them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from tests.plugins.programs import free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START_TIMEOUT_S = 60
FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION")


@dataclass(frozen=True)
class S3Server:
    """A running server and the credentials it takes."""

    name: str
    endpoint: str
    access_key: str
    secret_key: str
    conditional: bool

    def environment(self) -> dict[str, str]:
        """What boto3 must find in the environment, and nothing of the machine's own settings."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cache  # noqa: B019 - a client takes half a second to make, and a server lives as long as the session
    def client(self) -> S3Client:
        """A plain boto3 client, to look behind the store's back."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def make_bucket(self) -> str:
        """A fresh bucket's name."""
        name = f"b-{uuid.uuid4().hex[:16]}"
        self.client().create_bucket(Bucket=name)
        return name


@dataclass(frozen=True)
class S3Bucket:
    """A server with a bucket of one's own in it."""

    server: S3Server
    bucket: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}"

    @property
    def endpoint(self) -> str:
        return self.server.endpoint


def use(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    """A fresh bucket, and the environment to reach it."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return S3Bucket(server, server.make_bucket())


@pytest.fixture
def s3_server(ministack: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    return use(ministack, monkeypatch)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@contextmanager
def running_ministack(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """The server with conditions, its files in `folder`; the benchmarks and the real node start it, too."""
    port = free_port()
    settings = {"BIND_HOST": host, "GATEWAY_PORT": str(port), "SERVICES": "s3", "LOG_LEVEL": "WARNING"}
    with running("ministack", [], {**settings, "S3_PERSIST": "0", "TMPDIR": str(folder)}, port, folder, host):
        yield S3Server("ministack", f"http://{host}:{port}", "test", "test", conditional=True)


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("rclone")
    objects = folder / "objects"
    objects.mkdir()
    arguments = ["serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{port}"]
    with running("rclone", [*arguments, "--auth-key", "treering,treering-secret", str(objects)], {}, port, folder):
        yield S3Server("rclone", f"http://127.0.0.1:{port}", "treering", "treering-secret", conditional=False)


@contextmanager
def running(
    name: str, arguments: list[str], settings: Mapping[str, str], port: int, folder: Path, host: str = "127.0.0.1"
) -> Iterator[None]:
    """A server's process, from its first answer on; its output is in the error if that never comes."""
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        raise RuntimeError(f"{program} is missing: the tests need the S3 servers of the [dev] extra")
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), *arguments], env={**os.environ, **settings}, cwd=folder, stdout=output, stderr=output
        )
    try:
        await_answer(process, host, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_answer(process: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with socket.socket() as knock:
            knock.settimeout(1)
            if knock.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start, exit code {process.poll()}:\n{log.read_text()[-4000:]}")
