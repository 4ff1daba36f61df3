"""Whether a kubelet still goes round (upstream: kubelet.go SyncLoopHealthCheck)."""

from __future__ import annotations

from pybernetes.aio.clock import Clock

MINIMUM_SECONDS = 300.0  # upstream's, where twice the sync period is less


class SyncLoopMonitor:
    """When the loop that compares pods with the runtime last got through an iteration.

    As upstream's it stands still while the runtime does not answer: a kubelet that cannot see its containers is not healthy.
    """

    def __init__(self, clock: Clock, sync_seconds: float) -> None:
        self._clock, self._allowed = clock, max(2 * sync_seconds, MINIMUM_SECONDS)
        self._last: float | None = None

    def entered(self) -> None:
        """An iteration begins, or has succeeded."""
        self._last = self._clock.monotonic()

    def check(self) -> str:
        """The health check's text; "" where all is well, or the loop has not begun."""
        if self._last is not None and self._clock.monotonic() - self._last > self._allowed:
            return "sync Loop took longer than expected"
        return ""
