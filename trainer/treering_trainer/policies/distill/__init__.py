"""distill: the student keeps saying what its teachers say, anchor by anchor.

`terms` is the arithmetic, `teachers` asks the models, `policy` says when.
"""

from __future__ import annotations

from treering_trainer.policies.distill.policy import DistillPolicy

__all__ = ["DistillPolicy"]
