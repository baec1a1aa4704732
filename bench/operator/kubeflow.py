"""The peer: Kubeflow Trainer's controller with JobSet's, as released, outside a pod.

Its admission webhooks are left out, but for the one that fills in JobSet's defaults, without which its controller does
not work: that spares the peer some calls and time. A cluster's mount of the certificate is played by a file.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.operator.client import Client
from bench.operator.cluster import NAMESPACE, Cluster
from bench.operator.observer import Child
from bench.operator.sides import Controllers, names
from tests.plugins.programs import Program, free_ports

_HOME = Path(__file__).parent / "peer"
_SYSTEM = "kubeflow-system"
_SECRET = "kubeflow-trainer-webhook-cert"
_CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")  # the controller knows no other place
_RUNTIME = "torch-distributed"
_JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"
_PROGRAMS = ("trainer-controller-manager", "jobset")
_MODULES = ("github.com/kubeflow/trainer/v2", "sigs.k8s.io/jobset")


def build(cache: Path) -> Path:
    """The folder with the peer's programs, built from the module proxy where they are not there yet."""
    key = hashlib.sha256((_HOME / "go.sum").read_bytes()).hexdigest()[:16]
    folder = cache / "treering" / "peer" / key
    if not all((folder / program).exists() for program in _PROGRAMS):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": scratch, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
            subprocess.run(["go", "install", "-ldflags", "-s -w", "tool"], cwd=_HOME, env=environment, check=True)
            folder.mkdir(exist_ok=True)
            for program in _PROGRAMS:
                (Path(scratch) / program).replace(folder / program)
    return folder


@dataclass
class Kubeflow:
    """Each line is a TrainJob, and so is each event: a TrainJob can't be extended."""

    binaries: Path
    name: str = "kubeflow"
    users: tuple[str, ...] = ("kubeflow-trainer", "jobset")
    children: tuple[Child, ...] = (
        Child("jobset", "/apis/jobset.x-k8s.io/v1alpha2/jobsets", "", lambda metadata: str(metadata["name"])),
        Child(
            "job",
            "/apis/batch/v1/jobs",
            "jobset.sigs.k8s.io/jobset-name",
            lambda metadata: str(metadata["labels"]["jobset.sigs.k8s.io/jobset-name"]),
        ),
    )
    _changes: dict[int, int] = field(default_factory=dict)

    @property
    def versions(self) -> Mapping[str, str]:
        """Modules and their versions."""
        return {module: _module(module)["Version"] for module in _MODULES}

    def definitions(self) -> list[Path]:
        """The CRDs of both."""
        trainer, jobset = (Path(_module(module)["Dir"]) for module in _MODULES)
        own = sorted(trainer.glob("manifests/base/crds/trainer*.yaml"))
        return own + sorted(jobset.glob("config/components/crd/bases/jobset*.yaml"))

    async def install(self, client: Client) -> None:
        """The Secret of the certificates."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _SYSTEM}}
        await client.create("/api/v1/namespaces", namespace)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _SECRET}}
        await client.create(f"/api/v1/namespaces/{_SYSTEM}/secrets", secret)

    async def start(self, cluster: Cluster, client: Client) -> Controllers:
        """Start both; the trainer's certificate is mounted as soon as it has made one."""
        jobset = await self._start_jobset(cluster, client)
        trainer = self.restart_main(cluster)
        for _ in range(150):
            data = (await client.get(f"/api/v1/namespaces/{_SYSTEM}/secrets/{_SECRET}")).get("data", {})
            if data.get("tls.crt"):
                break
            trainer.check()
            await asyncio.sleep(0.2)
        _CERTIFICATES.mkdir(parents=True, exist_ok=True)
        for name in ("tls.key", "tls.crt"):  # the certificate last: the controller waits for it
            (_CERTIFICATES / name).write_bytes(base64.b64decode(data[name]))
        await client.create("/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes", runtime())
        return Controllers((trainer, jobset))

    def restart_main(self, cluster: Cluster) -> Program:
        """The trainer's controller, with the flags of its manifest: none but ports."""
        webhook, probe = free_ports(2)
        return Program.start(
            "kubeflow-trainer",
            [
                self.binaries / "trainer-controller-manager",
                f"--kubeconfig={cluster.kubeconfig('kubeflow-trainer')}",
                f"--webhook-server-port={webhook}",
                f"--health-probe-bind-address=127.0.0.1:{probe}",
            ],
            cluster.folder,
        )

    async def add(self, client: Client, number: int) -> str:
        """Make a TrainJob."""
        return await self._train(client, names(number))

    async def change(self, client: Client, number: int) -> str:
        """Make a further TrainJob."""
        self._changes[number] = self._changes.get(number, 0) + 1
        return await self._train(client, f"{names(number)}-{self._changes[number]}")

    async def at_rest(self, client: Client) -> int:
        """TrainJobs that are complete."""
        jobs = (await client.get(_JOBS))["items"]
        return sum(
            any(each["type"] == "Complete" for each in job.get("status", {}).get("conditions", ())) for job in jobs
        )

    async def _train(self, client: Client, name: str) -> str:
        body = {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": name},
            "spec": {"runtimeRef": {"name": _RUNTIME}, "trainer": {"image": "bench.invalid/train:1", "numNodes": 1}},
        }
        await client.create(_JOBS, body)
        return name

    async def _start_jobset(self, cluster: Cluster, client: Client) -> Program:
        port, probe = free_ports(2)
        certificates = _self_signed(cluster.folder / "jobset")
        config = {
            "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
            "kind": "Configuration",
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
            "webhook": {"port": port, "host": "127.0.0.1", "certDir": str(certificates)},
            "health": {"healthProbeBindAddress": f"127.0.0.1:{probe}"},
        }
        path = cluster.folder / "jobset.json"
        path.write_text(json.dumps(config))
        webhooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        await client.create(webhooks, defaulting(port, (certificates / "tls.crt").read_bytes()))
        flags = (f"--kubeconfig={cluster.kubeconfig('jobset')}", f"--config={path}", "--metrics-bind-address=0")
        return Program.start("jobset", [self.binaries / "jobset", *flags], cluster.folder)


def runtime() -> dict[str, Any]:
    """The simplest runtime: one pod; as Kubeflow's own `torch-distributed`."""
    pod = {"containers": [{"name": "node", "image": "bench.invalid/train:1"}]}
    labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    job = {"name": "node", "template": {"metadata": {"labels": labels}, "spec": {"template": {"spec": pod}}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": _RUNTIME},
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {"numProcPerNode": "auto"}},
            "template": {"spec": {"replicatedJobs": [job]}},
        },
    }


def defaulting(port: int, certificate: bytes) -> dict[str, Any]:
    """JobSet's webhook for defaults, at a port of the loopback."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "jobset"},
        "webhooks": [
            {
                "name": "mjobset.kb.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/mutate-jobset-x-k8s-io-v1alpha2-jobset",
                    "caBundle": base64.b64encode(certificate).decode(),
                },
                "rules": [
                    {
                        "apiGroups": ["jobset.x-k8s.io"],
                        "apiVersions": ["v1alpha2"],
                        "operations": ["CREATE"],
                        "resources": ["jobsets"],
                    }
                ],
            }
        ],
    }


def _self_signed(folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def _module(path: str) -> dict[str, str]:
    done = subprocess.run(
        ["go", "list", "-m", "-json", path], cwd=_HOME, check=True, capture_output=True, text=True,
        env={**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"},
    )  # fmt: skip
    found: dict[str, str] = json.loads(done.stdout)
    return found
