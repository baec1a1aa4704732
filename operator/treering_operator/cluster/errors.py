"""What the API server may answer instead of doing what it was asked, as small exceptions by kind."""

from __future__ import annotations


class ApiError(Exception):
    """A request that was not carried out, or of which nobody knows whether it was.

    Args:
        status: HTTP status; 0 where there was no answer.
        reason: the Status object's reason (NotFound, Conflict, ...), bounded: it labels a metric.
        message: what the server said, for people.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason} ({self.status}): {self.message}"


class NotFoundError(ApiError):
    """There is no such object, or no such kind."""


class ConflictError(ApiError):
    """The object is not (or no longer) the one that was meant."""


class AlreadyExistsError(ConflictError):
    """An object of that name is there."""


class ForbiddenError(ApiError):
    """The operator may not do that, or the namespace is going, or a quota is full."""


class InvalidError(ApiError):
    """The server does not accept the object as it is."""


class GoneError(ApiError):
    """The place in the history to go on from is forgotten."""


class UnavailableError(ApiError):
    """The server could not be reached, was too busy, or failed; asking again later may work."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: UnavailableError,
}


def error_of(status: int, reason: str, message: str) -> ApiError:
    """The exception for an answer."""
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExistsError(status, reason, message)
    kind = _BY_STATUS.get(status, UnavailableError if status >= 500 or not status else ApiError)
    return kind(status, reason or kind.__name__.removesuffix("Error"), message)
