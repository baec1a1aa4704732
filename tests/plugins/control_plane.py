"""A real control plane: etcd, kube-apiserver, kube-controller-manager, in one folder, reached with static tokens.

`tests/plugins/api_server.py` runs it on loopback, `tests/plugins/real_node.py` on the address of a node.
"""

from __future__ import annotations

import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.plugins.programs import Program, cluster_tools, free_ports, system_program, wait_until

START_TIMEOUT_S = 90
ISSUER = "https://kubernetes.default.svc"
SERVICE_RANGE = "10.96.0.0/16"
CONTROLLERS = (
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "ttl-after-finished-controller",
)
_USERS = {"admin": "system:masters", "controllers": "system:masters", "nobody": ""}
_QUICK = ("--kube-api-qps=1000", "--kube-api-burst=1000")


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    Args:
        folder: everything that it keeps.
        binaries: where its programs lie.
        host: address that clients use.
        port: of the API server.
        tokens: one for each user.
    """

    folder: Path
    binaries: Path
    host: str
    port: int
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        """Address of the API server."""
        return f"https://{self.host}:{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate that it shows, its issuer with it."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def service_accounts_key(self) -> Path:
        """Signs the tokens of service accounts."""
        return self.folder / "service-accounts.key"

    def kubeconfig(self, user: str, token: str | None = None) -> Path:
        """A kubeconfig for a user of the token file, or for whoever the token belongs to."""
        path = self.folder / "kubeconfigs" / f"{user.replace(':', '-')}.yaml"
        path.parent.mkdir(exist_ok=True)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [
                {"name": "tests", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}},
            ],
            "users": [{"name": user, "user": {"token": token or self.tokens[user]}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
        }
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def ready(self) -> bool:
        """Whether the API server says that it is."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca))
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@contextmanager
def running_api_server(
    folder: Path, *, host: str = "127.0.0.1", port: int = 0, flags: Sequence[str] = ()
) -> Iterator[tuple[ControlPlane, ExitStack]]:
    """etcd and an API server; what is put onto the stack ends before them. Port 0: any free one."""
    etcd_port, peer_port, free_port = free_ports(3)
    tools = cluster_tools("kube-apiserver", "kube-controller-manager", "kubectl")
    tokens = {user: secrets.token_hex(16) for user in _USERS}
    plane = ControlPlane(folder, tools, host, port or free_port, tokens)
    _write_secrets(plane)
    with ExitStack() as stack:
        etcd = Program.start("etcd", _etcd_command(folder, etcd_port, peer_port), folder)
        stack.callback(etcd.kill)
        command: list[str | Path] = [tools / "kube-apiserver", *_api_server_flags(plane, etcd_port), *flags]
        server = Program.start("kube-apiserver", command, folder)
        # Nothing of it is kept, and asked politely it takes a minute to say goodbye to its watchers.
        stack.callback(server.kill)
        wait_until("the API server is ready", plane.ready, START_TIMEOUT_S, etcd, server)
        yield plane, stack


def start_controllers(plane: ControlPlane, controllers: Sequence[str], flags: Sequence[str] = ()) -> Program:
    """kube-controller-manager; start it when the CRDs are there: its collector finds later ones in 30 s only."""
    command: list[str | Path] = [
        plane.binaries / "kube-controller-manager",
        f"--kubeconfig={plane.kubeconfig('controllers')}",
        f"--controllers={','.join(controllers)}",
        f"--service-account-private-key-file={plane.service_accounts_key}",
        f"--root-ca-file={plane.ca}",
        "--concurrent-job-syncs=20",
        "--concurrent-gc-syncs=20",
        "--concurrent-namespace-syncs=10",
        "--concurrent-ttl-after-finished-syncs=5",
        "--leader-elect=false",
        "--secure-port=0",
        *_QUICK,
        *flags,
    ]
    return Program.start("kube-controller-manager", command, plane.folder)


def _write_secrets(plane: ControlPlane) -> None:
    key = plane.service_accounts_key
    subprocess.run([system_program("openssl"), "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    lines = [f"{token},{user},{user},{_USERS[user]}\n" for user, token in plane.tokens.items()]
    tokens = plane.folder / "tokens.csv"
    tokens.write_text("".join(lines))
    tokens.chmod(0o600)


def _etcd_command(folder: Path, port: int, peer_port: int) -> list[str | Path]:
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        *(system_program("etcd"), "--data-dir", folder / "etcd", "--unsafe-no-fsync"),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"default={peer_url}", "--quota-backend-bytes", "4294967296"),
    ]


def _api_server_flags(plane: ControlPlane, etcd_port: int) -> list[str]:
    key = plane.service_accounts_key
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--bind-address={plane.host}",
        f"--advertise-address={plane.host}",
        f"--secure-port={plane.port}",
        f"--cert-dir={plane.folder / 'certificates'}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--service-account-issuer={ISSUER}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--token-auth-file={plane.folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=" + ("none" if plane.host == "127.0.0.1" else "lease"),
    ]
