"""Which stretch of a training an epoch belongs to, and how it mixes its batches: known before the first one.

Made by `yolo.loop` from what the policies ask for; pure, so a resumed training finds itself in the same phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from treering_api import BadSpecError
from treering_trainer.engine.order import Mix
from treering_trainer.policies.interface import Phase

WHOLE = Phase(until=1.0)
"""A training without phases."""


@dataclass(frozen=True)
class Timetable:
    """The phases of a training.

    Args:
        phases: in order.
        ends: the epoch, counted from 0, before which each one ends; rising, the last one is the number of epochs.
        mixes: how each one mixes its batches.
    """

    phases: tuple[Phase, ...]
    ends: tuple[int, ...]
    mixes: tuple[Mix, ...]

    @property
    def plain(self) -> bool:
        """Whether there is one phase only, which changes nothing."""
        return self.phases == (WHOLE,)

    @property
    def passes(self) -> int:
        """Images shown in the whole training, counting repeats."""
        starts = (0, *self.ends[:-1])
        return sum((end - start) * mix.passes for start, end, mix in zip(starts, self.ends, self.mixes, strict=True))

    @property
    def longest(self) -> Mix:
        """The mix with the most batches in an epoch."""
        return max(self.mixes, key=lambda mix: mix.length)

    def phase(self, epoch: int) -> Phase:
        """The phase of an epoch, counted from 0."""
        return self.phases[self._place(epoch)]

    def mix(self, epoch: int) -> Mix:
        """How an epoch mixes its batches."""
        return self.mixes[self._place(epoch)]

    def _place(self, epoch: int) -> int:
        return next(place for place, end in enumerate(self.ends) if epoch < end)


def make_timetable(phases: Sequence[Phase], epochs: int, mix: Mix, *, field: str) -> Timetable:
    """Share `epochs` out to `phases` (none: the whole training is one), at least one to each.

    Args:
        mix: of the round's own batch.
        field: of the spec, for the error.

    Raises:
        BadSpecError: there are more phases than epochs.
    """
    phases = tuple(phases) or (WHOLE,)
    if len(phases) > epochs:
        raise BadSpecError(
            field,
            f"{len(phases)} stages are to share {epochs} epoch{'s' * (epochs > 1)}",
            f"Give spec.training.epochs at least {len(phases)}, or fewer stages.",
        )
    mixes = tuple(replace(mix, batch=mix.batch * phase.batch_factor) for phase in phases)
    return Timetable(phases, _ends([phase.until for phase in phases], epochs), mixes)


def _ends(shares: Sequence[float], epochs: int) -> tuple[int, ...]:
    ends: list[int] = []
    for place, share in enumerate(shares):
        least, most = (ends[-1] if ends else 0) + 1, epochs - (len(shares) - 1 - place)
        ends.append(most if place == len(shares) - 1 else min(max(round(share * epochs), least), most))
    return tuple(ends)
