"""How one operator runs: made once from the command line, then only read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """Settings of an operator.

    Args:
        trainer_image: image of pods whose spec names none.
        namespaces: namespaces whose lines are kept; empty: all of them.
        lease_namespace: where the Lease lies that says which replica acts.
        lease_name: its name.
        identity: this replica in the Lease; unique, usually the pod's name.
        leader_election: off only where there is one replica for certain.
        listen: HOST:PORT of /metrics, /healthz and /readyz.
        workers: lines that are reconciled at the same time, 1 to 64.
        resync_s: every line is looked at again after this time, even if nothing happens.
        progress_interval_s: time between two questions to a running pod.
        progress_port: where a pod says how far it is.
        heartbeat_s: the longest silence of a healthy watch; after three of them the operator calls itself dead.
        network_policy: whether each line gets a NetworkPolicy.
        network_peers: labels of namespaces that may read a pod's progress and metrics; empty: any namespace.
        store_ports: TCP ports that pods may reach outside, besides those of the store's endpoint.
        image_pull_policy: of the trainer's pods.
        kubeconfig: file to reach the cluster with; None: the pod's own service account.
    """

    trainer_image: str
    namespaces: tuple[str, ...] = ()
    lease_namespace: str = "treering-system"
    lease_name: str = "treering-operator"
    identity: str = ""
    leader_election: bool = True
    listen: str = "0.0.0.0:8080"
    workers: int = 8
    resync_s: float = 600.0
    progress_interval_s: float = 15.0
    progress_port: int = 9464
    heartbeat_s: float = 60.0
    network_policy: bool = True
    network_peers: tuple[tuple[str, str], ...] = field(default=())
    store_ports: tuple[int, ...] = (443,)
    image_pull_policy: str = "IfNotPresent"
    kubeconfig: str | None = None
