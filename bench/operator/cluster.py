"""A cluster of one's own for one side of the comparison: etcd, API server, controllers, scheduler and the fake node.

Everything listens on loopback and lies in one folder; nothing outlives the `with` block.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.operator import audit, fake_node
from bench.operator.programs import Program

START_TIMEOUT_S = 60
ADMINISTRATOR = "administrator"
_MACHINERY = ("scheduler", "controllers", "fake-node")


@dataclass(frozen=True)
class Cluster:
    """A running cluster. `tokens` has one for each user; all of them may do everything."""

    folder: Path
    url: str
    tokens: dict[str, str]

    @property
    def ca(self) -> str:
        """File with the certificate that the API server shows."""
        return str(self.folder / "certificates" / "apiserver.crt")

    @property
    def audit_log(self) -> Path:
        """Finished requests of the users that are measured."""
        return self.folder / "audit.log"

    def kubeconfig(self, user: str) -> Path:
        """A kubeconfig for one of the users."""
        path = self.folder / f"{user}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": self.url, "certificate-authority": self.ca}}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": user, "namespace": "default"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path


@contextmanager
def running_cluster(folder: Path, binaries: Path, users: tuple[str, ...], run_s: float) -> Iterator[Cluster]:
    """A fresh cluster. The requests of `users` are logged; each pod of a Job runs for `run_s`."""
    folder.mkdir(parents=True)
    etcd, peers, port = free_ports(3)
    tokens = {user: secrets.token_hex(16) for user in (ADMINISTRATOR, *_MACHINERY, *users)}
    cluster = Cluster(folder, f"https://127.0.0.1:{port}", tokens)
    with ExitStack() as stack:

        def start(name: str, *command: str | Path) -> None:
            stack.callback(Program.start(name, command, folder).end)

        start(
            "etcd", "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync",
            "--listen-client-urls", f"http://127.0.0.1:{etcd}", "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
            "--listen-peer-urls", f"http://127.0.0.1:{peers}", "--quota-backend-bytes", "4294967296",
        )  # fmt: skip
        start("apiserver", binaries / "kube-apiserver", *_api_server_flags(cluster, port, etcd, users))
        _wait_ready(cluster)
        start("controllers", binaries / "kube-controller-manager", *_controller_flags(cluster))
        quick = ("--kube-api-qps", "1000", "--kube-api-burst", "1000", "--leader-elect=false", "--secure-port=0")
        start("scheduler", binaries / "kube-scheduler", "--kubeconfig", cluster.kubeconfig("scheduler"), *quick)
        config = folder / "kwok.yaml"
        config.write_text(fake_node.configuration(run_s))
        start(
            "fake-node", binaries / "kwok", "--kubeconfig", cluster.kubeconfig("fake-node"), "--config", config,
            "--manage-all-nodes",
        )  # fmt: skip
        yield cluster


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _api_server_flags(cluster: Cluster, port: int, etcd: int, users: tuple[str, ...]) -> list[str]:
    folder = cluster.folder
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens = folder / "tokens.csv"
    tokens.write_text("".join(f"{token},{user},{user},system:masters\n" for user, token in cluster.tokens.items()))
    tokens.chmod(0o600)
    policy = folder / "audit.yaml"
    policy.write_text(json.dumps(audit.policy(users)))
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://bench.invalid",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={cluster.audit_log}",
        "--audit-log-maxsize=4096",
    ]


def _controller_flags(cluster: Cluster) -> list[str]:
    return [
        f"--kubeconfig={cluster.kubeconfig('controllers')}",
        f"--service-account-private-key-file={cluster.folder / 'service-accounts.key'}",
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
        "--concurrent-job-syncs=20",
        "--leader-elect=false",
        "--secure-port=0",
        "--allocate-node-cidrs=false",
    ]


def _wait_ready(cluster: Cluster) -> None:
    end_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end_s:
        with contextlib.suppress(OSError, urllib.error.URLError, ssl.SSLError):
            context = ssl.create_default_context(cafile=cluster.ca)
            token = cluster.tokens[ADMINISTRATOR]
            request = urllib.request.Request(f"{cluster.url}/readyz", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, context=context, timeout=5) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.2)
    raise RuntimeError(f"the API server did not become ready, see {cluster.folder}/apiserver.log")
