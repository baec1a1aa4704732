"""Everything here runs on one thread."""

from tests.plugins.tiny_training import one_thread

__all__ = ["one_thread"]
