"""`spec.training` and `spec.export`: how one round trains and what it leaves besides the weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from treering_api.fields import Auto, Block, Bool, Float, Int

Override = Annotated[Bool | Int | Float | Annotated[str, Field(max_length=200)], Field(union_mode="left_to_right")]

RESERVED_OVERRIDES: dict[str, str] = {
    "model": "spec.model.base",
    "data": "spec.increments",
    "imgsz": "spec.model.imageSize",
    "epochs": "spec.training.epochs",
    "batch": "spec.training.batch",
    "lr0": "spec.training.learningRate",
    "lrf": "spec.training.finalLearningRateShare",
    "warmup_epochs": "spec.training.warmupEpochs",
    "cos_lr": "spec.training.cosine",
    "patience": "spec.training.patience",
    "optimizer": "spec.training.optimizer",
    "amp": "spec.training.precision",
    "half": "spec.training.precision",
    "seed": "spec.training.seed",
    "workers": "spec.training.workers",
    "freeze": "spec.policies.freeze",
    "device": "spec.compute.gpus",
    "deterministic": "",
    "resume": "",
    "pretrained": "",
    "mode": "",
    "task": "",
    "cfg": "",
    "project": "",
    "name": "",
    "exist_ok": "",
    "save": "",
    "save_dir": "",
    "save_period": "",
    "val": "",
    "plots": "",
    "cache": "",
    "classes": "",
    "single_cls": "",
    "fraction": "",
    "time": "",
    "compile": "",
    "cls_remap": "",
    "distill_model": "",
}
"""Arguments of ultralytics that Treering sets itself, with the field that sets them (empty: none does)."""


class Training(Block):
    """How one round trains. Everything has a default; see `treering_api.resolve` for what auto becomes."""

    epochs: Annotated[Int, Field(ge=1, le=10_000)] | Auto = Field(
        default="auto", description="Passes over the round's images, 1 to 10000, or auto."
    )
    batch: Annotated[Int, Field(ge=1, le=4096)] = Field(default=16, description="Images per step, 1 to 4096.")
    learning_rate: Annotated[Float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="Peak learning rate, above 0, at most 1. Absent: by optimizer, batch and kind of round.",
    )
    final_learning_rate_share: Annotated[Float, Field(gt=0, le=1)] = Field(
        default=0.01, description="Share of the peak at which the learning rate ends, above 0, at most 1."
    )
    warmup_epochs: Annotated[Float, Field(ge=0, le=100)] = Field(
        default=3.0,
        description="Epochs over which the learning rate rises to its peak, 0 to 100; never more than epochs.",
    )
    cosine: Bool = Field(default=False, description="Falling along a cosine instead of a line.")
    patience: Annotated[Int, Field(ge=0, le=10_000)] = Field(
        default=0, description="Epochs without a better score after which training stops early; 0: never."
    )
    optimizer: Literal["auto", "AdamW", "Adam", "SGD"] = Field(default="auto", description="auto: AdamW.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Number format of the forward pass; auto: fp16 on a GPU, fp32 on a CPU."
    )
    seed: Annotated[Int, Field(ge=0, le=2_147_483_647)] = Field(default=0, description="Seed of everything random.")
    workers: Annotated[Int, Field(ge=0, le=256)] | Auto = Field(
        default="auto", description="Processes that load images, 0 to 256; auto: by the CPUs there are, at most 8."
    )
    overrides: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)], Override], Field(max_length=64)
    ] = Field(
        default_factory=dict,
        description="Free arguments of ultralytics' trainer, such as mosaic: 0.5. Those Treering sets are refused.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    @field_validator("overrides")
    @classmethod
    def _refuse_reserved(cls, overrides: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
        for name in overrides:
            if name in RESERVED_OVERRIDES:
                field = RESERVED_OVERRIDES[name]
                mend = f"Use {field} instead" if field else "Remove it"
                raise PydanticCustomError(
                    "reserved", "{name} is set by Treering itself", {"name": name, "mend": mend, "key": name}
                )
        return overrides


class Export(Block):
    """Further formats of the published model."""

    formats: Annotated[tuple[Literal["onnx", "torchscript"], ...], Field(max_length=2)] = Field(
        default=(), description="Formats published beside safetensors and .pt; at most one of each."
    )
