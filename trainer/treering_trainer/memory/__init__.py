"""The replay memory: which old images a line keeps, and how they are chosen."""

from treering_trainer.memory.bank import Memory, MemoryItem, NamedBox, Remembered, named_box
from treering_trainer.memory.learned import Learned
from treering_trainer.memory.selection import SELECTIONS, Candidates, choose

__all__ = [
    "SELECTIONS",
    "Candidates",
    "Learned",
    "Memory",
    "MemoryItem",
    "NamedBox",
    "Remembered",
    "choose",
    "named_box",
]
