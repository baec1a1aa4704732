"""`spec.policies.freeze`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Int
from treering_api.rules import Count, Filled, Given, Is, Rule


class Freeze(Block):
    """Keeps a part of the network as it is. Give at least one of layers, backbone, names."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            found="freeze names nothing to freeze",
            mend="Give at least one of layers (such as 10), backbone: true, or names",
            expression=Count((Given("layers"), Is("backbone", True), Filled("names")), least=1),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    layers: Annotated[Int, Field(ge=1, le=200)] | None = Field(
        default=None, description="The first N layers are frozen, 1 to 200."
    )
    backbone: Bool = Field(default=False, description="The whole backbone is frozen.")
    names: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=100)] = Field(
        default=(),
        description="Layers by index, with an optional path below (4, 22.cv2); all of each is frozen. At most 100.",
    )
    batch_norm: Literal["frozenLayers", "all", "none"] = Field(
        default="frozenLayers", description="Whose BatchNorm statistics stand still: frozen layers', all, or none."
    )
    rounds: Literal["incremental", "all"] = Field(
        default="incremental", description="Only in incremental rounds, or in full trainings, too."
    )
