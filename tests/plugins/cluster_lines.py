"""Lines on the real node: the chart installed by Helm, an S3 server that pods reach, deliveries in it, and a line each.

Ask for `release` (the operator runs) and `team` (a namespace with credentials and deliveries); `team.plant(...)` makes
a line. Waiting tells the line's status, its pods and the operator's log when it takes too long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.api_server import LINES, ApiServer, Refusal
from tests.plugins.helm import CHART, NAMESPACE, RELEASE, Helm
from tests.plugins.lines import TINY, draw_delivery
from tests.plugins.real_node import ADDRESS, RealNode
from tests.plugins.s3_servers import S3Server, running_ministack
from tests.plugins.stopwatch import timed
from treering_api import Lineage

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

Object = dict[str, Any]
VALUES: Object = {
    "image": {"repository": "localhost/treering/operator", "tag": "dev", "pullPolicy": "Never"},
    "trainer": {"image": {"repository": "localhost/treering/trainer", "tag": "dev", "pullPolicy": "Never"}},
    "operator": {"progressIntervalSeconds": 1, "verbose": True},
}
DELIVERIES = {"w1": (("ring", "bark"), 8, "train"), "w2": (("leaf",), 6, "train")}
HOLDOUT = (("leaf", "ring", "bark"), 6, "val")
SMALL: Object = {"resources": {"requests": {"cpu": "100m", "memory": "512Mi"}}, "sharedMemory": "64Mi"}
"""`compute` of a round that has room beside others."""
LONG: Object = {"epochs": 40, "batch": 4, "workers": 0}
"""`training` that leaves time to disturb it."""
ROUND_TIMEOUT_S = 400.0


@dataclass(frozen=True)
class Release:
    """The installed chart."""

    node: RealNode
    helm: Helm

    @property
    def server(self) -> ApiServer:
        """The API server."""
        return self.node.server

    @property
    def service_account(self) -> str:
        """Who the operator is."""
        return f"system:serviceaccount:{NAMESPACE}:{RELEASE}"

    def run_helm(self, *arguments: str, values: Object | None = None) -> str:
        """A command of Helm about this cluster."""
        flags = ("--kubeconfig", str(self.server.kubeconfig()), "--namespace", NAMESPACE)
        done = self.helm.run(*arguments, *flags, values=values)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.words()}"
        return done.stdout

    def pods(self) -> list[str]:
        """Names of the operator's pods."""
        selector = "app.kubernetes.io/component=operator"
        shown = self.server.kubectl("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "name")
        return [name.removeprefix("pod/") for name in shown.split()]

    def leader(self) -> str:
        """The pod that acts."""
        lease = self.server.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{RELEASE}")
        return str(lease["spec"].get("holderIdentity", ""))

    def words(self) -> str:
        """How the operator stands, for a failed test."""
        shown = [self.server.kubectl("get", "pods,events", "-n", NAMESPACE)]
        for pod in self.pods():
            try:
                shown.append(f"{pod}:\n{self.server.kubectl('logs', '-n', NAMESPACE, pod, '--tail=40')}")
            except Refusal as refusal:
                shown.append(str(refusal))
        return "\n".join(shown)


@dataclass(frozen=True)
class PlantedLine:
    """One line in the cluster."""

    release: Release
    s3: S3Server
    namespace: str
    name: str
    bucket: str

    @property
    def path(self) -> str:
        """Its place in the API."""
        return f"{LINES}/namespaces/{self.namespace}/incrementaltrains/{self.name}"

    @property
    def status(self) -> Object:
        """What the operator says about it."""
        status: Object = self.release.server.request("GET", self.path).get("status", {})
        return status

    @property
    def lineage(self) -> Lineage:
        """What the store says about it."""
        answer = self.s3.client().get_object(Bucket=self.bucket, Key=f"lines/{self.name}/lineage.json")
        return Lineage.model_validate_json(answer["Body"].read())

    def record(self, number: int) -> Object:
        """The record of a published round."""
        summary = next(one for one in self.lineage.rounds if one.round == number)
        key = f"lines/{self.name}/rounds/{number:04d}/attempt-{summary.attempt}/record.json"
        record: Object = json.load(self.s3.client().get_object(Bucket=self.bucket, Key=key)["Body"])
        return record

    def edit(self, **spec: object) -> None:
        """Change fields of its spec."""
        self.release.server.request("PATCH", self.path, {"spec": spec})

    def condition(self, kind: str) -> Object:
        """A condition of it, empty while there is none."""
        return next((one for one in self.status.get("conditions", []) if one["type"] == kind), {})

    def pods(self) -> list[Object]:
        """Its trainers' pods that were not told to go."""
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=treering.dev/line%3D{self.name}"
        found = self.release.server.request("GET", path)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def running_pod(self) -> str:
        """The pod that trains, empty while there is none."""
        return next((pod["metadata"]["name"] for pod in self.pods() if pod["status"]["phase"] == "Running"), "")

    def events(self) -> set[str]:
        """Reasons of its Events so far."""
        found = self.release.server.request("GET", f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")
        return {event["reason"] for event in found["items"] if event["regarding"].get("name") == self.name}

    def wait(self, what: str, true: Callable[[], object], timeout_s: float = ROUND_TIMEOUT_S) -> None:
        """Return once it is true; at once wrong when the line is stalled."""
        with timed(f"{self.name}: {what}"):
            end_s = time.monotonic() + timeout_s
            while not true():
                stalled = self.condition("Stalled")
                wrong = stalled.get("status") == "True" or time.monotonic() > end_s
                assert not wrong, f"{what}: {stalled}\n{self.words()}"
                time.sleep(0.2)

    def await_rounds(self, published: int) -> None:
        """Wait until so many rounds are published and nothing is left to do."""
        self.wait(
            f"{published} published",
            lambda: self.status.get("state") == "UpToDate" and len(self.status.get("rounds", [])) >= published,
        )

    def await_epoch(self, epoch: int) -> None:
        """Wait until the running round has finished some epochs."""
        self.wait(f"epoch {epoch}", lambda: (self.status.get("progress") or {}).get("epoch", 0) > epoch)

    def first_epoch(self, *, attempt: int) -> int:
        """Wait until another attempt trains; the first epoch that is told of it."""
        seen: list[int] = []

        def told() -> bool:
            status = self.status
            progress = status.get("progress") or {}
            if status.get("attempt") == attempt and progress.get("stage") == "train" and progress.get("epoch"):
                seen.append(progress["epoch"])
            return bool(seen)

        self.wait(f"attempt {attempt} trains", told)
        return seen[0]

    def words(self) -> str:
        """How it stands, for a failed test."""
        kubectl = self.release.server.kubectl
        shown = [json.dumps(self.status, indent=1), kubectl("get", "jobs,pods,events", "-n", self.namespace)]
        for pod in self.pods():
            try:
                shown.append(kubectl("logs", "-n", self.namespace, pod["metadata"]["name"], "--tail=40"))
            except Refusal as refusal:
                shown.append(str(refusal))
        return "\n".join([*shown, self.release.words()])


@dataclass(frozen=True)
class Team:
    """A namespace with credentials, and a bucket with deliveries."""

    release: Release
    s3: S3Server
    namespace: str
    bucket: str

    def plant(self, name: str, increments: Sequence[str] = ("w1",), **spec: object) -> PlantedLine:
        """A line of the tiny net; `spec` wins."""
        body: Object = {
            "model": {"base": f"s3://{self.bucket}/tiny.yaml", "imageSize": 64},
            "store": {
                "uri": f"s3://{self.bucket}/lines/{name}",
                "endpoint": self.s3.endpoint,
                "credentialsSecret": "store",
            },
            "increments": [self.increment(each) for each in increments],
            "evaluation": {
                "holdouts": [{"name": "golden", "uri": f"s3://{self.bucket}/golden"}],
                "gate": {"maxForgetting": 1.0},
            },
            "training": {"epochs": 2, "batch": 4, "workers": 0},
            "strategy": "incremental",
            "compute": SMALL,
        }
        document = {
            "apiVersion": "treering.dev/v1alpha1",
            "kind": "IncrementalTrain",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": body | spec,
        }
        self.release.server.kubectl("apply", "-f", "-", input=json.dumps(document))
        return PlantedLine(self.release, self.s3, self.namespace, name, self.bucket)

    def deliver(self, name: str, folder: str) -> None:
        """Copy a delivery into a folder of the bucket, as a supplier would."""
        client = self.s3.client()
        for item in client.list_objects_v2(Bucket=self.bucket, Prefix=f"{name}/")["Contents"]:
            source: CopySourceTypeDef = {"Bucket": self.bucket, "Key": item["Key"]}
            client.copy_object(Bucket=self.bucket, Key=f"{folder}/{item['Key']}", CopySource=source)

    def increment(self, name: str) -> Object:
        """A delivery as a line lists it."""
        return {"name": name, "uri": f"s3://{self.bucket}/{name}"}


@pytest.fixture(scope="session")
def release(real_node: RealNode, helm: Helm) -> Release:
    installed = Release(real_node, helm)
    with timed("helm install, until the operator is ready"):
        flags = ("--create-namespace", "--wait", "--timeout", "180s")
        installed.run_helm("upgrade", "--install", RELEASE, str(CHART), *flags, values=VALUES)
    return installed


@pytest.fixture(scope="session")
def cluster_s3(real_node: RealNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_ministack(tmp_path_factory.mktemp("ministack"), ADDRESS) as server:
        yield server


@pytest.fixture(scope="session")
def team(release: Release, cluster_s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Team:
    namespace = release.server.make_namespace()
    secret = {"AWS_ACCESS_KEY_ID": cluster_s3.access_key, "AWS_SECRET_ACCESS_KEY": cluster_s3.secret_key}
    path = f"/api/v1/namespaces/{namespace}/secrets"
    release.server.request("POST", path, {"metadata": {"name": "store"}, "stringData": secret})
    bucket = cluster_s3.make_bucket()
    folder = tmp_path_factory.mktemp("deliveries")
    (folder / "tiny.yaml").write_text(TINY)
    for seed, (name, (classes, images, split)) in enumerate([*DELIVERIES.items(), ("golden", HOLDOUT)]):
        draw_delivery(folder / name, classes, images, seed=seed, split=split)
    upload(cluster_s3, bucket, folder)
    return Team(release, cluster_s3, namespace, bucket)


def upload(server: S3Server, bucket: str, folder: Path) -> None:
    """Put a folder's files into the bucket, with their paths as keys."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            server.client().put_object(Bucket=bucket, Key=str(file.relative_to(folder)), Body=file.read_bytes())
