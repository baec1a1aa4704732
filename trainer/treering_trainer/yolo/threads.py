"""How many threads torch computes with on a CPU: as many as it was told to, whatever ultralytics prefers."""

from __future__ import annotations

import torch
from ultralytics.utils import torch_utils


def keep_threads() -> None:
    """Make ultralytics leave torch's threads alone.

    On a CPU it resets them to one less than the machine has, at most 8: half the speed on two cores, and blind to the
    processors that a pod was given.
    """
    vars(torch_utils)["NUM_THREADS"] = torch.get_num_threads()
