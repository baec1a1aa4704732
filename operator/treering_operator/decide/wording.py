"""How times, spans and long texts are written in a status."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

SENTENCE_LENGTH = 1024
_NAMED = 5


def cut(text: str, length: int = SENTENCE_LENGTH) -> str:
    """The text, with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def moment(time: datetime) -> str:
    """A time as RFC 3339 in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: str | None) -> datetime | None:
    """The time that `moment` wrote; None for what is no time."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def span(seconds: float) -> str:
    """A time left for people: 45s, 12m, 1h30m, 2d4h."""
    minutes, left = divmod(max(0, round(seconds)), 60)
    if not minutes:
        return f"{left}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h" if days else f"{hours}h{minutes}m"


def counted(number: int, thing: str) -> str:
    """`1 image`, `3 images`, `2 deliveries`."""
    several = thing[:-1] + "ies" if thing.endswith("y") else thing + "s"
    return f"{number} {thing if number == 1 else several}"


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {more} more" if more > 0 else "")
