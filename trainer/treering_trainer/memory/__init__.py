"""The replay memory: which old images a line keeps, and how they are chosen."""

from treering_trainer.memory.bank import Guess, Memory, MemoryItem, NamedBox, Remembered, named_box
from treering_trainer.memory.learned import Learned
from treering_trainer.memory.quota import choose_balanced, quotas
from treering_trainer.memory.selection import SELECTIONS, Candidates, choose

__all__ = [
    "SELECTIONS",
    "Candidates",
    "Guess",
    "Learned",
    "Memory",
    "MemoryItem",
    "NamedBox",
    "Remembered",
    "choose",
    "choose_balanced",
    "named_box",
    "quotas",
]
