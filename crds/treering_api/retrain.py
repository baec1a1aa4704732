"""`spec.retrain`: when everything is learned anew, whatever a single delivery would ask for."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from treering_api.fields import Block, Float, Int
from treering_api.rules import Count, Given, Rule


class Retrain(Block):
    """Full retraining on a schedule. Give at least one of everyRounds, driftSum; whichever comes first counts."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            found="retrain names no occasion",
            mend="Give everyRounds (such as 10), driftSum (such as 3.0), or both",
            expression=Count((Given("every_rounds"), Given("drift_sum")), least=1),
        ),
    )

    every_rounds: Annotated[Int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="Published rounds after a full training until the next one, 1 to 1000; 1: every second round is "
        "full. Absent: they are not counted.",
    )
    drift_sum: Annotated[Float, Field(gt=0, le=1000)] | None = Field(
        default=None,
        description="Drift that may add up before all is learned anew, above 0, at most 1000. A delivery adds 2·AUC-1: "
        "0 where its images can't be told from the old ones, 1 where they always can. Absent: it is not added up.",
    )
