"""How long who is refused is told to stay away: the longer, the more are refused (upstream: flowcontrol/dropped_requests_tracker.go)."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_RETRY_AFTER = 32  # seconds


@dataclass(slots=True)
class DroppedRequests:
    """Of one level. Seconds are whole ones of one clock."""

    retry_after: int = 1
    _history: list[tuple[int, int]] = field(default_factory=list)  # (second, refused), at most MAX_RETRY_AFTER
    _second: int = 0
    _refused: int = 0
    _raised: int | None = None  # when retry_after was doubled

    def record(self, second: int) -> int:
        """One more was refused; what it is told."""
        if second == self._second:
            self._refused += 1
            return self.retry_after
        kept = min(2 * self.retry_after, MAX_RETRY_AFTER)
        self._history.append((self._second, self._refused))
        self._history = [one for one in self._history if 0 <= second - one[0] <= kept]
        self._second, self._refused = second, 1
        self._update(second)
        return self.retry_after

    def _update(self, second: int) -> None:
        """Doubled where many were refused although they had been told, one less where few were, as TCP does."""
        after = self.retry_after
        refused = sum(count for then, count in self._history if second - then <= after)
        if (self._raised is None or second - self._raised >= after) and refused >= 3 * after:
            self.retry_after, self._raised = min(2 * after, MAX_RETRY_AFTER), second
        elif refused < after and after > 1:
            self.retry_after -= 1
