"""Error cases: the pictures that a model reads worst, chosen, explained, and written for labelling tools."""
