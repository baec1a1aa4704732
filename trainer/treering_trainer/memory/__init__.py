"""The replay memory: which old images a line keeps, and how they are chosen."""

from treering_trainer.memory.bank import Memory, MemoryItem, Remembered
from treering_trainer.memory.selection import SELECTIONS, Candidates, choose

__all__ = ["SELECTIONS", "Candidates", "Memory", "MemoryItem", "Remembered", "choose"]
