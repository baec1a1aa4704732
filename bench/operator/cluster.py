"""A cluster of one's own for one side of the comparison: a control plane, a scheduler and the fake node, on loopback.

Each controller that is measured has a service account, so that the audit log tells them apart; each may do everything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.operator import audit, fake_node
from tests.plugins.api_server import ApiServer
from tests.plugins.control_plane import CONTROLLERS, running_api_server, start_controllers
from tests.plugins.programs import Program, cluster_tools, wait_until

NAMESPACE = "bench"
SYSTEM = "bench-system"
_OLD_ETCD = "--feature-gates=WatchList=false"  # Debian's etcd can't stream lists; KWOK has to be told


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    server: ApiServer

    @property
    def folder(self) -> Path:
        """Logs and files."""
        return self.server.folder

    @property
    def audit_log(self) -> Path:
        """Finished requests of the users that are measured."""
        return self.folder / "audit.log"

    def kubeconfig(self, user: str) -> Path:
        """A kubeconfig for one of the users."""
        return self.server.kubeconfig(account(user))


def account(user: str) -> str:
    """A user's full name, as the audit log has it."""
    return f"system:serviceaccount:{SYSTEM}:{user}"


@contextmanager
def running_cluster(folder: Path, users: Iterable[str], definitions: Iterable[Path], run_s: float) -> Iterator[Cluster]:
    """A fresh cluster with these CRDs. Each pod of a Job runs for `run_s`."""
    folder.mkdir(parents=True)
    accounts = [account(user) for user in users]
    policy = folder / "audit.yaml"
    policy.write_text(json.dumps(audit.policy(accounts)))
    log = ("--audit-log-path=" + str(folder / "audit.log"), "--audit-log-maxsize=4096")
    with ExitStack() as outer:
        with _rarely_collecting():
            server = running_api_server(folder, flags=[f"--audit-policy-file={policy}", *log, _OLD_ETCD])
            plane, stack = outer.enter_context(server)
        cluster = Cluster(ApiServer(plane))
        for path in definitions:
            cluster.server.kubectl("apply", "--server-side", "-f", path)
        wait_until("the CRDs are served", lambda: _established(cluster.server), 30)
        _make_users(cluster.server, users)
        tools, machinery = cluster_tools("kube-scheduler", "kwok"), plane.kubeconfig("controllers")
        quick = ("--kube-api-qps=1000", "--kube-api-burst=1000", "--leader-elect=false", "--secure-port=0")
        scheduler: list[str | Path] = [tools / "kube-scheduler", f"--kubeconfig={machinery}", *quick]
        config = folder / "kwok.yaml"
        config.write_text(fake_node.configuration(run_s))
        kwok: list[str | Path] = [
            tools / "kwok",
            f"--kubeconfig={machinery}",
            f"--config={config}",
            "--manage-all-nodes",
        ]
        stack.callback(start_controllers(plane, CONTROLLERS).kill)
        stack.callback(Program.start("kube-scheduler", scheduler, folder).kill)
        stack.callback(Program.start("kwok", kwok, folder).kill)
        cluster.server.kubectl("create", "-f", "-", input=json.dumps(fake_node.node()))
        # A node begins with the taint "not ready", which only the node controllers would take away.
        cluster.server.request("PATCH", f"/api/v1/nodes/{fake_node.NAME}", {"spec": {"taints": None}})
        yield cluster


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Of two processors a fourth went into the API server's garbage collection; etcd and it alone start in here."""
    os.environ["GOGC"] = "400"
    try:
        yield
    finally:
        del os.environ["GOGC"]


def _established(server: ApiServer) -> bool:
    definitions = server.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    conditions = [each.get("status", {}).get("conditions") or () for each in definitions]
    return all(any(one["type"] == "Established" and one["status"] == "True" for one in each) for each in conditions)


def _make_users(server: ApiServer, users: Iterable[str]) -> None:
    for namespace in (SYSTEM, NAMESPACE):
        server.kubectl("create", "namespace", namespace)
    for user in users:
        server.kubectl("create", "serviceaccount", user, "--namespace", SYSTEM)
        binding = ("--clusterrole=cluster-admin", f"--serviceaccount={SYSTEM}:{user}")
        server.kubectl("create", "clusterrolebinding", user, *binding)
