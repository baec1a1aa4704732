"""A line whose `spec.store.uri` was changed: what was known of the folder before says nothing about the one now.

Planned from an empty lineage, the next round's pod finds what lies in the new folder, and the line is taken up there.
"""

from __future__ import annotations

from typing import Any

from treering_api import Mirror, Status
from treering_operator.actions import Notice
from treering_operator.decide import notices
from treering_operator.decide.harvest import adopt, look_again
from treering_operator.decide.reading import Line


def leave(line: Line, status: Status) -> tuple[Status, tuple[Notice, ...]]:
    """The status without what it knows of a store that the line left; only what was spent stays."""
    if status.mirror is None or not line.has_left(status.mirror_store):
        return status, ()
    forgotten: dict[str, Any] = {
        name: Status.model_fields[name].get_default(call_default_factory=True)
        for name in (
            "mirror", "mirror_store", "round", "attempt", "increment", "start_time", "completion_time", "progress",
            "strategy", "strategy_reason", "map50_before", "forgetting", "gain", "rounds", "store", "failure",
        )
    }  # fmt: skip
    after = adopt(status, Mirror()).model_copy(update=forgotten | {"discovery": look_again(status.discovery)})
    return after, (notices.moved(line, status.mirror_store),)


def settle_in(line: Line, status: Status) -> Status:
    """The status, saying which store its mirror is of."""
    return status.model_copy(update={"mirror_store": line.store if status.mirror is not None else ""})
