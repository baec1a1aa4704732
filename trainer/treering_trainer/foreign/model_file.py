"""What is known of a model file after it was read: plain data, checked again by the parent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class TensorInfo(BaseModel):
    """One tensor of the model that counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dtype: str = Field(description="as safetensors names it")
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        count = 1
        for side in self.shape:
            count *= side
        return count


class Part(BaseModel):
    """Something in the file that takes room."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str = Field(description="weights, second copy, optimizer, arguments, notes, structure or other")
    size_bytes: int = Field(ge=0)


class ModelFile(BaseModel):
    """A model file's description; nothing in it was run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    container: str
    saved_as: str = Field(description="the model's class, such as models.yolo.DetectionModel")
    taken_from: str = Field(description="the entry that holds the weights, such as ema")
    layers: tuple[str, ...] = Field(description="classes of the layers, in order; empty where only tensors were saved")
    classes: tuple[str, ...] = Field(description="names in head order; empty where the file does not say")
    attributes: dict[str, Any] = Field(description="of the model: yaml, task, nc, args")
    parts: tuple[Part, ...]
    private: tuple[str, ...] = Field(description="paths and addresses of whoever saved it")
    tensors: tuple[TensorInfo, ...]
    borders: tuple[str, ...] = Field(description="what confined the process that read it")
    size_bytes: int = 0
    path: Path = Path()

    @property
    def architecture(self) -> dict[str, Any] | None:
        """The model's YAML as data, if it has one."""
        found = self.attributes.get("yaml")
        return found if isinstance(found, dict) else None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name."""
        return {tensor.name: tensor.shape for tensor in self.tensors}
