"""What a round tells the world while it runs: events, and the observers that show them."""

from __future__ import annotations

from treering_trainer.progress.bars import Bars, can_draw
from treering_trainer.progress.events import (
    EpochFinished,
    Event,
    Measured,
    Message,
    Observer,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageProgress,
    StageStarted,
    StrategyChosen,
)
from treering_trainer.progress.json_lines import JsonLines
from treering_trainer.progress.lines import Lines
from treering_trainer.progress.observers import Observers
from treering_trainer.progress.server import ProgressServer
from treering_trainer.progress.state import ProgressState, Snapshot

__all__ = [
    "Bars",
    "EpochFinished",
    "Event",
    "JsonLines",
    "Lines",
    "Measured",
    "Message",
    "Observer",
    "Observers",
    "ProgressServer",
    "ProgressState",
    "RoundFinished",
    "RoundStarted",
    "Snapshot",
    "StageFinished",
    "StageProgress",
    "StageStarted",
    "StrategyChosen",
    "can_draw",
]
