"""A real node: control plane, scheduler, containerd, kubelet, kube-proxy and DNS, in the namespaces of scripts/e2e.sh.

Ask for `real_node` (one for the session). Its programs may be killed and started again; what they leave lies in the
run's own folder, and goes with the namespaces. Run by `make e2e` alone: elsewhere the fixture fails and says so.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.api_server import ApiServer
from tests.plugins.containers import Containers
from tests.plugins.control_plane import ControlPlane, running_api_server, start_controllers
from tests.plugins.programs import Program, ProgramError, cluster_tools, wait_until
from tests.plugins.stopwatch import timed

ADDRESS = "10.99.0.1"
NODE = "node-1"
DOMAIN = "cluster.local"
START_TIMEOUT_S = 120
IMAGES = ("pause", "operator", "trainer")
ALL_BUT = (
    "*",
    "-bootstrap-signer-controller",
    "-cloud-node-lifecycle-controller",
    "-horizontal-pod-autoscaler-controller",
    "-node-ipam-controller",
    "-node-route-controller",
    "-service-lb-controller",
    "-token-cleaner-controller",
)


@dataclass
class RealNode:
    """A running node; `server` is its API server."""

    server: ApiServer
    folder: Path
    tools: Path
    containers: Containers
    programs: dict[str, Program] = field(default_factory=dict)

    def start_kubelet(self) -> None:
        """Start it, or start it again, and wait until the node is ready."""
        config = self.folder / "kubelet.json"
        config.write_text(json.dumps(_kubelet_settings(self.folder)))
        self._start(
            "kubelet",
            f"--config={config}",
            f"--kubeconfig={self.server.kubeconfig()}",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'kubelet-certificates'}",
        )
        wait_until("the node is ready", self._is_ready, START_TIMEOUT_S, self.programs["kubelet"])

    def kill_kubelet(self) -> None:
        """End the kubelet as a crash would; the pods run on."""
        self.programs.pop("kubelet").kill()

    def start_proxy(self) -> None:
        """kube-proxy: ClusterIPs by iptables."""
        config = self.folder / "proxy.json"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                    "kind": "KubeProxyConfiguration",
                    "mode": "iptables",
                    "hostnameOverride": NODE,
                    "clusterCIDR": self.containers.pod_range,
                    "clientConnection": {"kubeconfig": str(self.server.kubeconfig())},
                    "conntrack": {"maxPerCore": 0},
                }
            )
        )
        self._start("kube-proxy", f"--config={config}")

    def start_scheduler(self) -> None:
        """The scheduler."""
        self._start(
            "kube-scheduler",
            f"--kubeconfig={self.server.kubeconfig()}",
            "--leader-elect=false",
            "--secure-port=0",
        )

    def start_names(self) -> None:
        """CoreDNS on the node's address: pods of several nodes find each other by name."""
        config = self.folder / "Corefile"
        zones = f"kubernetes {DOMAIN} {{\n    kubeconfig {self.server.kubeconfig()}\n  }}"
        config.write_text(f".:53 {{\n  bind {ADDRESS}\n  errors\n  {zones}\n}}\n")
        self._start("coredns", "-conf", str(config))

    def advertise(self, resource: str, amount: int) -> None:
        """Let the node say that it has so many of an extended resource."""
        for part in ("capacity", "allocatable"):
            patch = [{"op": "add", "path": f"/status/{part}/{resource.replace('/', '~1')}", "value": str(amount)}]
            self.server.request("PATCH", f"/api/v1/nodes/{NODE}/status", patch, patch="json")

    def end(self) -> None:
        """End what this started; the kernel does the rest with the namespaces."""
        for program in reversed(self.programs.values()):
            program.kill()

    def _start(self, name: str, *flags: str) -> None:
        self.programs[name] = Program.start(name, [self.tools / name, *flags], self.folder)

    def _is_ready(self) -> bool:
        for node in self.server.request("GET", "/api/v1/nodes")["items"]:
            heard: dict[str, Any] = {one["type"]: one for one in node["status"].get("conditions", [])}
            if heard.get("Ready", {}).get("status") == "True":
                return not node["spec"].get("taints")
        return False


@pytest.fixture(scope="session")
def real_node() -> Iterator[RealNode]:
    with running_node(tuple(os.environ.get("TREERING_E2E_IMAGES", " ".join(IMAGES)).split())) as node:
        yield node


@contextmanager
def running_node(images: tuple[str, ...]) -> Iterator[RealNode]:
    """The node, ready for pods, with these of our images."""
    place = os.environ.get("TREERING_NODE_FOLDER")
    if place is None:
        raise ProgramError("these tests want a network of their own. Mend: run them by `make e2e`, as root")
    folder, cache = Path(place), Path(os.environ["TREERING_NODE_CACHE"])
    tools = cluster_tools("kube-scheduler", "kubelet", "kube-proxy", "kubectl", "coredns")
    with ExitStack() as stack:
        containers = Containers(folder, cache / "containerd", os.environ["TREERING_NODE_CGROUP"])
        with timed("images into containerd"):
            containers.import_images(images, cache / "archives")
        with timed("control plane"):
            plane, inner = stack.enter_context(
                running_api_server(
                    folder, host=ADDRESS, port=6443, flags=["--kubelet-preferred-address-types=InternalIP"]
                )
            )
            inner.callback(start_controllers(plane, ALL_BUT).kill)
        stack.callback(keep_logs, folder)
        with timed("containerd, kubelet, proxy, scheduler"):
            node = _start_node(plane, folder, tools, containers, stack)
        yield node


def _start_node(plane: ControlPlane, folder: Path, tools: Path, containers: Containers, stack: ExitStack) -> RealNode:
    node = RealNode(ApiServer(plane), folder, tools, containers)
    stack.callback(containers.start().kill)
    stack.callback(node.end)
    node.start_scheduler()
    node.start_proxy()
    node.start_names()
    node.start_kubelet()
    return node


def keep_logs(folder: Path) -> None:
    """Copy the programs' and pods' logs to where the run's folder does not take them along."""
    kept = Path(os.environ["TREERING_NODE_CACHE"]) / "logs"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, kept)
    shutil.copytree("/var/log/pods", kept / "pods", symlinks=True, dirs_exist_ok=True)


def _kubelet_settings(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/" + os.environ["TREERING_NODE_CGROUP"],
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": True,
        "nodeStatusUpdateFrequency": "5s",
        "registerNode": True,
        "resolvConf": "",
        "serializeImagePulls": False,
        "syncFrequency": "10s",
    }
