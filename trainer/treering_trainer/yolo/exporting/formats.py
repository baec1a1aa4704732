"""The formats by the names of `spec.export.formats`: what makes each, and what it needs to be there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from treering_api import EXPORT_FORMATS, BadSpecError

FIELD = "spec.export.formats"


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        maker: ultralytics' name of it.
        quantize: bits of its numbers, ultralytics' argument; None: 32.
        modules: that its maker and its runtime need.
        gpu: whether it is made and run on a GPU alone.
    """

    maker: str
    quantize: int | None = None
    modules: tuple[str, ...] = ()
    gpu: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether it has to see pictures to be made."""
        return self.quantize == 8

    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed."""
        return tuple(name for name in self.modules if find_spec(name) is None)


_ONNX = ("onnx", "onnxruntime", "onnxslim")
_TENSORRT = (*_ONNX, "tensorrt")
_TFLITE = ("litert_torch", "ai_edge_litert")

FORMATS: dict[str, Format] = {
    "onnx": Format("onnx", None, _ONNX),
    "onnx-fp16": Format("onnx", 16, _ONNX),
    "onnx-int8": Format("onnx", 8, _ONNX),
    "torchscript": Format("torchscript"),
    "openvino": Format("openvino", None, ("openvino",)),
    "openvino-fp16": Format("openvino", 16, ("openvino",)),
    "openvino-int8": Format("openvino", 8, ("openvino", "nncf")),
    "tflite": Format("litert", None, _TFLITE),
    "tflite-int8": Format("litert", 8, (*_TFLITE, "ai_edge_quantizer")),
    "tensorrt": Format("engine", None, _TENSORRT, gpu=True),
    "tensorrt-fp16": Format("engine", 16, _TENSORRT, gpu=True),
    "tensorrt-int8": Format("engine", 8, _TENSORRT, gpu=True),
}
assert tuple(FORMATS) == EXPORT_FORMATS


def refuse_unmakeable(formats: Sequence[str], device: str, field: str = FIELD) -> None:
    """Refuse, before hours of training, a format whose libraries or whose GPU are not there.

    Raises:
        BadSpecError: names the format and what it needs.
    """
    for place, name in enumerate(formats):
        where, kind = f"{field}[{place}]" if field == FIELD else field, FORMATS[name]
        if missing := kind.missing():
            raise BadSpecError(
                where,
                f"{name} can't be made here: {', '.join(missing)} is not installed",
                f"Install it (pip install {' '.join(missing)}), or leave {name} out",
            )
        if kind.gpu and device == "cpu":
            raise BadSpecError(
                where, f"{name} can't be made here: it needs a GPU", f"Run where there is one, or leave {name} out"
            )
