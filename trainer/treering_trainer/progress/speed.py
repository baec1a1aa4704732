"""How fast training goes, from what was seen of it in this process.

Used by `state`. Two speeds, because they answer two questions: the recent one ("how fast is it now?") looks at the
last half minute; the mean one ("when will it end?") holds everything since training began here, with the pauses for
validation that the recent one may miss.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 30.0
MIN_OBSERVED_S = 1.0


class Speed:
    """Images per second out of (time, images done) pairs; both must not fall."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._recent: deque[tuple[float, int]] = deque()

    def saw(self, now_s: float, done: int) -> None:
        """Note that `done` images were done at `now_s`, including those that an earlier attempt did."""
        self._first = self._first or (now_s, done)
        self._recent.append((now_s, done))
        while len(self._recent) > 2 and self._recent[1][0] <= now_s - WINDOW_S:
            self._recent.popleft()

    @property
    def recent(self) -> float | None:
        """Images per second over about the last `WINDOW_S`; None until `MIN_OBSERVED_S` have been seen."""
        return _rate(self._recent[0], self._recent[-1]) if self._recent else None

    @property
    def mean(self) -> float | None:
        """Images per second since training began in this process; None until `MIN_OBSERVED_S` have been seen."""
        return _rate(self._first, self._recent[-1]) if self._first else None


def _rate(start: tuple[float, int], end: tuple[float, int]) -> float | None:
    seconds, images = end[0] - start[0], end[1] - start[1]
    return images / seconds if seconds >= MIN_OBSERVED_S and images > 0 else None
