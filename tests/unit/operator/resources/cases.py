"""One readable case per feature of a round's objects; each has a golden file of the same name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from treering_api import Lineage, LookPlan, RollbackPlan, RoundPlan, next_round, read
from treering_operator.actions import Plan
from treering_operator.resources.children import Children, children
from treering_operator.settings import Settings

SETTINGS = Settings(
    trainer_image="registry.example/treering/trainer:0.1.0",
    network_peers=(("kubernetes.io/metadata.name", "treering-system"),),
)
LINE_UID = "11111111-2222-3333-4444-555555555555"
HASH = "0a1b2c3d"
JOB_UID = "66666666-7777-8888-9999-000000000000"
SPEC: dict[str, Any] = {
    "model": {"base": "s3://models/yolov8n.pt", "imageSize": 320},
    "store": {"uri": "s3://lines/cards", "credentialsSecret": "s3-cards"},
    "increments": [{"name": "2026-w47", "uri": "s3://deliveries/cards/w47"}],
}


@dataclass(frozen=True)
class Case:
    """A line and what is to be done for it.

    Args:
        spec: blocks and fields put into the short spec.
        kind: round, rollback or discovery.
        name: of the line.
        labels: of the line.
        settings: of the operator.
        shows: kinds of objects in the golden file; the others are like those of the plain round.
    """

    spec: dict[str, Any] = field(default_factory=dict)
    kind: str = "round"
    name: str = "cards"
    labels: dict[str, str] = field(default_factory=dict)
    settings: Settings = SETTINGS
    shows: tuple[str, ...] = ("Job",)

    def resource(self) -> dict[str, Any]:
        return line(self.spec, self.name, self.labels)

    def children(self) -> Children:
        return build(self.resource(), self.kind, self.settings)

    def objects(self) -> list[dict[str, Any]]:
        """What the golden file shows, in the order in which it is made."""
        built = self.children()
        made = (built.network_policy, built.job, built.plan_map(JOB_UID), built.service(JOB_UID))
        return [one for one in made if one is not None and one["kind"] in self.shows]


def line(spec: dict[str, Any], name: str = "cards", labels: dict[str, str] | None = None) -> dict[str, Any]:
    """A line as the API server has it."""
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {
            "name": name,
            "namespace": "vision",
            "uid": LINE_UID,
            "resourceVersion": "4711",
            "generation": 1,
            "labels": labels or {},
        },
        "spec": SPEC | spec,
    }


def build(resource: dict[str, Any], kind: str = "round", settings: Settings = SETTINGS) -> Children:
    """The objects of a line's first round, of a rollback to round 1, or of a first look."""
    name, plan = _planned(resource, kind)
    return children(resource, name, plan, settings)


def _planned(resource: dict[str, Any], kind: str) -> tuple[str, Plan]:
    spec, name = read(resource, "case").spec, resource["metadata"]["name"]
    if kind == "discovery":
        return f"{name}-d7", LookPlan(line=name, number=7, spec=spec)
    if kind == "rollback":
        back = RollbackPlan(line=name, to=1, reason="spec.rollbackTo asks for round 1", spec=spec)
        return f"{name}-b1-{HASH}", back
    step = next_round(spec, name, Lineage(line=name))
    assert isinstance(step, RoundPlan), step
    return f"{name}-r1-{HASH}", step


CASES: dict[str, Case] = {
    "round": Case(shows=("NetworkPolicy", "Job", "ConfigMap")),
    "gpus": Case({"compute": {"gpus": 4, "sharedMemory": "16Gi"}}),
    "mig-slice": Case({"compute": {"gpus": 1, "gpuResource": "nvidia.com/mig-1g.10gb"}}),
    "nodes": Case({"compute": {"gpus": 8, "nodes": 4}, "retries": 2}, name="7-segments", shows=("Job", "Service")),
    "resources": Case(
        {
            "compute": {
                "resources": {
                    "requests": {"cpu": "4", "memory": "8Gi", "rdma/hca": "1"},
                    "limits": {"memory": "16Gi", "ephemeral-storage": "100Gi"},
                }
            }
        }
    ),
    "queue": Case({"queue": "team-vision"}),
    "placement": Case(
        {
            "compute": {
                "nodeSelector": {"example.com/gpu-type": "l4"},
                "tolerations": [
                    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                    {"key": "spot", "value": "true", "effect": "NoExecute", "tolerationSeconds": 60},
                ],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
                            ]
                        }
                    }
                },
                "priorityClass": "training-low",
                "runtimeClass": "nvidia",
            }
        }
    ),
    "image": Case(
        {"compute": {"image": "registry.example/vision/trainer:custom", "imagePullSecrets": ["registry", "mirror"]}}
    ),
    "environment": Case(
        {
            "compute": {
                "env": [
                    {"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"},
                    {"name": "WANDB_API_KEY", "secret": "wandb", "key": "api-key"},
                    {"name": "MLFLOW_TRACKING_URI", "configMap": "mlflow"},
                ]
            }
        }
    ),
    "volumes": Case(
        {
            "compute": {
                "volumes": [
                    {"name": "weights", "mountPath": "/weights", "claim": "weights"},
                    {"name": "license", "mountPath": "/license", "secret": "license"},
                    {"name": "notes", "mountPath": "/notes", "configMap": "notes", "readOnly": False},
                ]
            }
        }
    ),
    "cache-claim": Case({"compute": {"cacheVolume": {"claim": "images"}}}),
    "cache-limit": Case({"compute": {"cacheVolume": {"sizeLimit": "50Gi"}}}),
    "own-store": Case(
        {
            "store": {
                "uri": "s3://lines/cards",
                "endpoint": "https://minio.example:9000",
                "credentialsSecret": "s3-cards",
                "certificateAuthority": {"configMap": "company-ca", "key": "root.pem"},
            }
        },
        shows=("NetworkPolicy", "Job"),
    ),
    "role": Case(
        {"store": {"uri": "s3://lines/cards", "serviceAccount": "cards-trainer"}}, shows=("NetworkPolicy", "Job")
    ),
    "limits-in-time": Case({"deadline": "6h", "ttl": "1d", "retries": 5}),
    "labels": Case(
        labels={
            "team": "vision",
            "example.com/cost-centre": "42",
            "app.kubernetes.io/instance": "tracked-by-argo-cd",
            "kustomize.toolkit.fluxcd.io/name": "tracked-by-flux",
        }
    ),
    "rollback": Case({"rollbackTo": 1, "compute": {"gpus": 4, "cacheVolume": {"claim": "images"}}}, kind="rollback"),
    "discovery": Case(
        {
            "discover": {"uri": "s3://deliveries/cards/"},
            "queue": "team-vision",
            "compute": {"gpus": 4, "nodeSelector": {"pool": "gpu"}},
        },
        kind="discovery",
    ),
}
