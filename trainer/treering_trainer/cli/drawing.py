"""How the verbs that take long show their progress to a person: bars on a terminal, log lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from treering_trainer.progress import Observer


@contextmanager
def drawn() -> Iterator[Observer]:
    """An observer that draws on standard error."""
    from treering_trainer.progress import Bars, Lines, can_draw

    console = Console(stderr=True)
    if can_draw(console):
        with Bars(console) as bars:
            yield bars
    else:
        yield Lines()
