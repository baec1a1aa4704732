"""The exit codes of a round: one meaning, one condition and one line of advice each.

The trainer's processes end with them, the operator's `podFailurePolicy` and a user's scripts read them. Numbers are
part of the contract and never change their meaning.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a process of Treering ended."""

    SUCCESS = 0
    INTERNAL = 1
    BAD_SPEC = 2
    BAD_DATA = 3
    STORE = 4
    REJECTED = 5
    OUTDATED = 6
    RESUMABLE = 75

    @property
    def reason(self) -> str:
        """The `reason` of the condition that this code becomes in a status, in CamelCase."""
        return _REASONS[self][0]

    @property
    def advice(self) -> str:
        """What a person should do, in one line."""
        return _REASONS[self][1]


_REASONS: dict[ExitCode, tuple[str, str]] = {
    ExitCode.SUCCESS: ("Succeeded", "Nothing to do."),
    ExitCode.INTERNAL: ("InternalError", "A fault of Treering: run again with --debug and report the traceback."),
    ExitCode.BAD_SPEC: ("BadSpec", "Mend the named field of the spec (or the command line) and run again."),
    ExitCode.BAD_DATA: ("BadData", "Mend the named files in the delivery and run again; the model is unchanged."),
    ExitCode.STORE: ("StoreUnreachable", "Check the store's address, credentials and network, then run again."),
    ExitCode.REJECTED: (
        "Rejected",
        "The candidate was worse than the gate allows; read the report, nothing was published.",
    ),
    ExitCode.OUTDATED: (
        "Outdated",
        "The plan does not fit the line's lineage in the store; make it anew (the operator does so by itself).",
    ),
    ExitCode.RESUMABLE: ("Interrupted", "Run again: the round goes on where it stopped."),
}
