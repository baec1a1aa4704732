"""`spec.compute`: the pods that a cluster runs rounds in. On one machine only `gpus` matters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from treering_api.fields import Auto, Block, Bool, Int, Key, Keyed, LabelKey, ObjectName, Quantity
from treering_api.rules import Count, Given, Rule


class Resources(Block):
    """What a pod asks for and may use at most, by resource name."""

    requests: Annotated[dict[LabelKey, Quantity], Field(max_length=16)] = Field(
        default_factory=dict, description="Reserved amounts, such as cpu: '4', memory: 16Gi."
    )
    limits: Annotated[dict[LabelKey, Quantity], Field(max_length=16)] = Field(
        default_factory=dict, description="Upper limits, such as memory: 16Gi."
    )


class Toleration(Block):
    """A taint that the pods may ignore."""

    key: Annotated[str, Field(max_length=317)] | None = Field(default=None, description="The taint's key. Absent: all.")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="How the taint is matched.")
    value: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="The taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect. Absent: all."
    )
    toleration_seconds: Annotated[Int, Field(ge=0, le=604_800)] | None = Field(
        default=None, description="How long NoExecute is tolerated, in seconds. Absent: for ever."
    )


class EnvironmentVariable(Block):
    """One variable of the pods' environment: a value, or a key of a Secret or ConfigMap."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            found="a variable has exactly one source",
            mend="Give one of value, secret, configMap",
            expression=Count((Given("value"), Given("secret"), Given("config_map")), least=1, most=1),
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="Name of the variable."
    )
    value: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="Its value.")
    secret: ObjectName | None = Field(default=None, description="Secret that holds it, under `key`.")
    config_map: ObjectName | None = Field(default=None, description="ConfigMap that holds it, under `key`.")
    key: Key | None = Field(default=None, description="Key in the Secret or ConfigMap. Absent: the variable's name.")


class Volume(Block):
    """One further volume of the pods, from one source."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            found="a volume has exactly one source",
            mend="Give one of claim, secret, configMap",
            expression=Count((Given("claim"), Given("secret"), Given("config_map")), least=1, most=1),
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] = Field(
        description="Name of the volume."
    )
    mount_path: Annotated[str, Field(min_length=2, max_length=512, pattern=r"^/[^:]+$")] = Field(
        description="Where it appears in the pod."
    )
    read_only: Bool = Field(default=True, description="Mounted without write access.")
    claim: ObjectName | None = Field(default=None, description="Name of a PersistentVolumeClaim.")
    secret: ObjectName | None = Field(default=None, description="Name of a Secret.")
    config_map: ObjectName | None = Field(default=None, description="Name of a ConfigMap.")


class CacheVolume(Block):
    """Where pulled images are kept, so that the next round does not pull them again."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="size_limit",
            found="sizeLimit is for an emptyDir, but a claim is given",
            mend="Give claim or sizeLimit, not both",
            expression=Count((Given("claim"), Given("size_limit")), most=1),
        ),
    )

    claim: ObjectName | None = Field(
        default=None, description="PersistentVolumeClaim to keep them in. Absent: an emptyDir that goes with the pod."
    )
    size_limit: Quantity | None = Field(default=None, description="Upper limit of the emptyDir, such as 50Gi.")


class Compute(Block):
    """Where and with what rounds run."""

    gpus: Annotated[Int, Field(ge=0, le=64)] | Auto = Field(
        default="auto",
        description="GPUs of a round on each node, 0 to 64; each trains its share of every batch. auto: on a machine "
        "those that are there, at most one; in a cluster none.",
    )
    gpu_resource: LabelKey = Field(
        default="nvidia.com/gpu", description="Resource name of a GPU, also of a MIG slice or another maker's."
    )
    nodes: Annotated[Int, Field(ge=1, le=64)] = Field(
        default=1, description="Pods that train one round together, 1 to 64, each with gpus GPUs, or on its processors."
    )
    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\s]+$")] | None = Field(
        default=None, description="Image of the trainer. Absent: the operator's default of the same release."
    )
    resources: Resources = Field(default_factory=Resources, description="CPU, memory and disk of a pod.")
    node_selector: Annotated[dict[LabelKey, Annotated[str, Field(max_length=63)]], Field(max_length=32)] = Field(
        default_factory=dict, description="Labels that a node must have."
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = Field(
        default=(), description="Taints that the pods may ignore, at most 32."
    )
    affinity: Annotated[dict[Annotated[str, Field(max_length=64)], JsonValue], Field(max_length=3)] = Field(
        default_factory=dict,
        description="nodeAffinity, podAffinity, podAntiAffinity as Kubernetes has them; handed through as they are.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    priority_class: ObjectName | None = Field(default=None, description="Name of a PriorityClass.")
    runtime_class: ObjectName | None = Field(default=None, description="Name of a RuntimeClass.")
    image_pull_secrets: Annotated[tuple[ObjectName, ...], Field(max_length=16)] = Field(
        default=(), description="Secrets to pull the image with, at most 16."
    )
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=100), Keyed("name")] = Field(
        default=(), description="Further variables of the pods' environment, at most 100."
    )
    volumes: Annotated[tuple[Volume, ...], Field(max_length=16), Keyed("name")] = Field(
        default=(), description="Further volumes of the pods, at most 16."
    )
    cache_volume: CacheVolume = Field(
        default_factory=CacheVolume, description="Where pulled images are kept between rounds."
    )
    shared_memory: Quantity = Field(
        default="2Gi", description="Size of /dev/shm, which the loader's processes hand images through."
    )
