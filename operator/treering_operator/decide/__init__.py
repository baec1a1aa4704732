"""The pure heart of the operator: what is done about a line, from one observation of it.

No clock, no cluster, no store: everything a decision rests on is in `Observed`, and everything it wants is in
`Decision`. Repeating a decision is harmless; so is losing what came of it.
"""

from __future__ import annotations

from treering_operator.decide.decision import decide

__all__ = ["decide"]
