"""`spec.training` and `spec.export`: how one round trains and what it leaves besides the weights."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from treering_api.fields import Auto, Block, Bool, Distinct, Float, Int

Override = Annotated[Bool | Int | Float | Annotated[str, Field(max_length=200)], Field(union_mode="left_to_right")]

FREE_OVERRIDES = (
    # optimizer
    *("momentum", "weight_decay", "warmup_momentum", "warmup_bias_lr"),
    # loss
    *("box", "cls", "cls_pw", "dfl"),
    # augmentation
    *("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "bgr"),
    *("mosaic", "close_mosaic", "mixup", "cutmix", "multi_scale"),
    # speed
    "channels_last",
)
"""Arguments of ultralytics that change a training by Treering and that no field of the spec sets."""

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

IDLE_OVERRIDES = (
    # training, where Treering's own loop decides
    *("nbs", "rect", "verbose", "profile", "dropout", "split"),
    # other tasks than detection
    *("overlap_mask", "mask_ratio", "retina_masks", "pose", "kobj", "rle", "angle", "dlog", "dgrad", "dlam"),
    *("copy_paste", "copy_paste_mode", "auto_augment", "erasing"),
    # distillation
    "dis",
    # validation, prediction, tracking
    *("save_json", "conf", "iou", "max_det", "quantize", "dnn", "nms", "source", "vid_stride", "stream_buffer"),
    *("visualize", "augment", "agnostic_nms", "embed", "show", "save_frames", "save_txt", "save_conf", "save_crop"),
    *("show_labels", "show_conf", "show_boxes", "line_width", "tracker"),
    # export
    *("format", "optimize", "dynamic", "simplify", "opset", "workspace"),
)
"""Arguments of ultralytics that would change nothing in a training by Treering."""


class Training(Block):
    """How one round trains. Everything has a default; see `treering_api.resolve` for what auto becomes."""

    epochs: Annotated[Int, Field(ge=1, le=10_000)] | Auto = Field(
        default="auto", description="Passes over the round's images, 1 to 10000, or auto."
    )
    batch: Annotated[Int, Field(ge=1, le=4096)] | Auto = Field(
        default="auto",
        description="Images per step, of all GPUs together, 1 to 4096; auto: 8 in an incremental round, "
        "else 16, or as many more as can be shared out evenly.",
    )
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
    cosine: Bool | None = Field(
        default=None, description="Falling along a cosine instead of a line. Absent: by kind of round."
    )
    patience: Annotated[Int, Field(ge=0, le=10_000)] | Auto = Field(
        default="auto",
        description="Epochs without a better score after which training stops early; 0: never; auto: a quarter of the "
        "epochs, at least 3, and the warm-up's, in incremental rounds whose val sets have 20 images or more.",
    )
    optimizer: Literal["auto", "AdamW", "Adam", "SGD"] = Field(default="auto", description="auto: AdamW.")
    optimizer_state: Literal["fresh", "keep"] = Field(
        default="fresh",
        description="keep: an incremental round's optimizer goes on with the moments that the round before ended with; "
        "they are published beside the model, at two times its size.",
    )
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
        description="Arguments of ultralytics' trainer that no field sets, such as mosaic: 0.5. "
        "All others are refused.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    @field_validator("overrides")
    @classmethod
    def _refuse_others(cls, overrides: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
        for name in overrides:
            if name not in FREE_OVERRIDES:
                found, mend = _not_free(name)
                raise PydanticCustomError("reserved", "{found}", {"found": found, "mend": mend, "key": name})
        return overrides


def _not_free(name: str) -> tuple[str, str]:
    """What is wrong with an override that may not stand there, and the mend."""
    allowed = f"What may stand here: {', '.join(FREE_OVERRIDES)}"
    if name in RESERVED_OVERRIDES:
        field = RESERVED_OVERRIDES[name]
        return f"{name} is set by Treering itself", f"Use {field} instead" if field else "Remove it"
    if name in IDLE_OVERRIDES:
        return f"{name} of ultralytics does nothing in a training by Treering", f"Remove it. {allowed}"
    fields = {key: field for key, field in RESERVED_OVERRIDES.items() if field}
    close = difflib.get_close_matches(name, (*FREE_OVERRIDES, *fields), n=1)
    if not close:
        mend = allowed
    elif close[0] in fields:
        mend = f"Use {fields[close[0]]} instead"
    else:
        mend = f"Did you mean {close[0]}? {allowed}"
    return "ultralytics has no such argument", mend


ExportFormat = Literal[
    "onnx",
    "onnx-fp16",
    "onnx-int8",
    "torchscript",
    "openvino",
    "openvino-fp16",
    "openvino-int8",
    "tflite",
    "tflite-int8",
    "tensorrt",
    "tensorrt-fp16",
    "tensorrt-int8",
]
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)


class Parity(Block):
    """How far a format may answer from the model itself and still be published."""

    max_map50_drop: Annotated[Float, Field(ge=0, le=1)] = Field(
        default=0.01, description="mAP50 that it may lose on any hold-out or val set; .01 is one point."
    )
    max_box_drift: Annotated[Float, Field(ge=0, le=1000)] = Field(
        default=3.0,
        description="How far 95 of 100 boxes may move, in pixels of the network's input; measured where both see an "
        "object at confidence .25.",
    )


class Export(Block):
    """Further formats of the published model."""

    formats: Annotated[tuple[ExportFormat, ...], Field(max_length=len(EXPORT_FORMATS)), Distinct()] = Field(
        default=(),
        description="Formats published beside safetensors and .pt. Each is made and measured in a process of its own; "
        "one that fails or that parity refuses is left out and named, the round goes on.",
    )
    parity: Parity = Field(default_factory=Parity, description="What a format is held to.")
    calibration_images: Annotated[Int, Field(ge=8, le=10_000)] = Field(
        default=128, description="Train and remembered pictures that 8-bit formats are calibrated on; never hold-outs."
    )
