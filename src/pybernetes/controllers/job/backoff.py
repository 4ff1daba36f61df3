"""How long a job waits after failures; pure (upstream: pkg/controller/job/backoff_utils.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pybernetes.api.conditions import condition
from pybernetes.api.times import shifted
from pybernetes.api.types import core_v1 as core

FIRST_BACKOFF = 10.0  # seconds; doubles with each failure in a row
MAX_BACKOFF = 600.0  # seconds, upstream's MaxJobBackOff


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row and the time of the last (backoffRecord)."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Sequence[core.Pod], failed: Sequence[core.Pod], now: datetime) -> Backoff:
        """The record with what has just ended."""
        failures, last = self.failures, self.last
        since = max((finish_time(pod, now) for pod in succeeded), default=None)
        if since is not None:
            failures, last = 0, None
        for pod in failed:
            end = finish_time(pod, now)
            if since is None or end > since:
                failures += 1
                last = end if last is None else max(last, end)
        return Backoff(failures, last)

    def remaining(self, now: datetime) -> float:
        """Seconds until the next pod may be made."""
        return remaining(self.failures, self.last, now)


def remaining(failures: int, last: datetime | None, now: datetime) -> float:
    """Seconds left of the back-off of so many failures, the last at that time; never more than the back-off.

    The time is another clock's. That far in the future it tells that a clock was put back since, and nothing of how long ago it was.
    """
    if failures == 0 or last is None:
        return 0.0
    wait = min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 30))
    elapsed = (now - last).total_seconds()
    return 0.0 if elapsed < -wait else min(wait, max(0.0, wait - elapsed))


def finish_time(pod: core.Pod, now: datetime) -> datetime:
    """When a pod ended: its containers, its Ready condition, its deletion, or now (getFinishedTime)."""
    statuses = pod.status.container_statuses
    ends = [s.state.terminated.finished_at for s in statuses if s.state and s.state.terminated]
    times = [end for end in ends if end is not None]
    if times and len(times) == len(statuses):
        return max(times)
    ready = condition(pod.status.conditions, "Ready")
    if ready is not None and ready.status == "False" and ready.last_transition_time is not None:
        return ready.last_transition_time
    deleted = pod.metadata.deletion_timestamp
    if deleted is not None:
        return shifted(deleted, -(pod.metadata.deletion_grace_period_seconds or 0))
    return now
