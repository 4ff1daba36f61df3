"""Back-off policies, after k8s.io/client-go/util/workqueue and k8s.io/client-go/util/flowcontrol."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pybernetes.aio.clock import Clock, RealClock

T = TypeVar("T", bound=Hashable)
T_contra = TypeVar("T_contra", bound=Hashable, contravariant=True)

# The largest power of two a float can hold; any real maximum is reached long before.
_MAX_EXPONENT = 1023


class RateLimiter(Protocol[T_contra]):
    """Decides how long an item waits before its next try (workqueue.TypedRateLimiter)."""

    def when(self, item: T_contra) -> float:
        """Count a failure of the item and return the seconds it should wait."""
        ...

    def forget(self, item: T_contra) -> None:
        """Stop tracking the item."""
        ...

    def num_requeues(self, item: T_contra) -> int:
        """Return how many failures of the item are counted."""
        ...


class ItemExponentialFailureRateLimiter(Generic[T]):
    """Waits base * 2**failures seconds per item, up to a maximum (workqueue.ItemExponentialFailureRateLimiter)."""

    def __init__(self, base_delay: float = 0.005, max_delay: float = 1000.0) -> None:
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._failures: dict[T, int] = {}

    def when(self, item: T) -> float:
        """Count a failure of the item and return the seconds it should wait."""
        failures = self._failures.get(item, 0)
        self._failures[item] = failures + 1
        return min(self._base_delay * 2.0 ** min(failures, _MAX_EXPONENT), self._max_delay)

    def forget(self, item: T) -> None:
        """Stop tracking the item; its next failure waits the base delay."""
        self._failures.pop(item, None)

    def num_requeues(self, item: T) -> int:
        """Return how many failures of the item are counted."""
        return self._failures.get(item, 0)


@dataclass(slots=True)
class _Entry:
    delay: float
    last_update: float


class Backoff(Generic[T]):
    """Doubling delays per key, without jitter (flowcontrol.Backoff).

    The defaults are the kubelet's for container restarts: 10 s, doubling up to 300 s. A key that has been quiet for
    more than twice the maximum starts again from the first delay. Times are those of the clock's monotonic().
    """

    def __init__(self, initial: float = 10.0, maximum: float = 300.0, clock: Clock | None = None) -> None:
        self._initial = initial
        self._maximum = maximum
        self._clock: Clock = clock if clock is not None else RealClock()
        self._entries: dict[T, _Entry] = {}

    def get(self, key: T) -> float:
        """Return the key's present delay in seconds, 0 if it has none."""
        entry = self._entries.get(key)
        return entry.delay if entry is not None else 0.0

    def next(self, key: T, event_time: float | None = None) -> float:
        """Move the key to its next delay and return it; event_time (default now) decides whether it was quiet."""
        now = self._clock.monotonic()
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, now if event_time is None else event_time):
            delay = self._initial
        else:
            delay = min(entry.delay * 2, self._maximum)
        self._entries[key] = _Entry(delay, now)
        return delay

    def in_backoff_since(self, key: T, event_time: float) -> bool:
        """Whether less than the key's delay has passed between event_time and now (IsInBackOffSince)."""
        return self.remaining(key, event_time) > 0

    def remaining(self, key: T, event_time: float) -> float:
        """Return the seconds left of the key's delay, counted from event_time; 0 when it may go ahead."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, event_time):
            return 0.0
        return max(entry.delay - (self._clock.monotonic() - event_time), 0.0)

    def in_backoff_since_update(self, key: T, event_time: float) -> bool:
        """Whether event_time is within the key's delay of its last update (IsInBackOffSinceUpdate)."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, event_time):
            return False
        return event_time - entry.last_update < entry.delay

    def reset(self, key: T) -> None:
        """Forget the key."""
        self._entries.pop(key, None)

    def gc(self) -> None:
        """Drop the keys that have been quiet for so long that they would start again."""
        now = self._clock.monotonic()
        self._entries = {key: entry for key, entry in self._entries.items() if not self._expired(entry, now)}

    def _expired(self, entry: _Entry, event_time: float) -> bool:
        return event_time - entry.last_update > self._maximum * 2
