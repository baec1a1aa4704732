"""Data sets as other tools leave them: recognised by what lies there, and read as the same pictures and boxes.

The way of a delivery: `wanted_keys` says what to pull from the store, `load` lists what has come, in any accepted
format, as the folders that `read` checks. Nothing is rewritten: the originals stay as they are, and the boxes go on in
memory. One module per format; `recognition` is the table of what lies where.
"""

from treering_trainer.dataset.formats.load import Loaded, delivered, load
from treering_trainer.dataset.formats.recognition import ACCEPTED, Recognition, has_labels, is_picture, wanted_keys

__all__ = ["ACCEPTED", "Loaded", "Recognition", "delivered", "has_labels", "is_picture", "load", "wanted_keys"]
