"""The errors a user can cause or meet: each names the thing, what was found and the mend, and knows its exit code.

Raised by the API, the trainer and the operator alike; the command line prints them without a traceback, the operator
turns them into conditions. Anything else that escapes is a fault of Treering itself.
"""

from __future__ import annotations

from treering_api.exit_codes import ExitCode


class TreeringError(Exception):
    """An error with an address, a finding and a mend.

    Args:
        where: the field's path (`spec.increments[1].uri`), file or URI that is at fault.
        found: what was found there, in words, with the offending value.
        mend: what is allowed, and how to get there; one or two sentences.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, where: str, found: str, mend: str) -> None:
        super().__init__(where, found, mend)
        self.where = where
        self.found = found
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.where}: {self.found}. {self.mend}"


class BadSpecError(TreeringError):
    """The spec, the command line or the model file it names can't be used as it is."""

    exit_code = ExitCode.BAD_SPEC


class BadDataError(TreeringError):
    """A delivery can't be learned as it is."""

    exit_code = ExitCode.BAD_DATA


class StoreError(TreeringError):
    """The store did not do what was asked."""

    exit_code = ExitCode.STORE


class OutdatedError(TreeringError):
    """The plan was made for another state of the line than the store has; nothing was done."""

    exit_code = ExitCode.OUTDATED


class ResumableError(TreeringError):
    """The machine can't do the work now (no GPU, disk full, stopped by a signal); what is done is kept."""

    exit_code = ExitCode.RESUMABLE
