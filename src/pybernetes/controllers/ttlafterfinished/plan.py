"""When a finished job is to be deleted; pure (upstream: pkg/controller/ttlafterfinished)."""

from __future__ import annotations

from datetime import datetime

from pybernetes.api.times import shifted
from pybernetes.api.types import batch_v1 as batch


def finished_at(job: batch.Job) -> datetime | None:
    """When a job became Complete or Failed; None if it did not, or if it has no time limit or is being deleted."""
    if job.spec.ttl_seconds_after_finished is None or job.metadata.deletion_timestamp is not None:
        return None
    ends = [c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"]
    return ends[0].last_transition_time if ends else None


def time_left(job: batch.Job, now: datetime) -> float | None:
    """Seconds until the job is to be deleted, 0 or less if it is time; None if never."""
    end = finished_at(job)
    if end is None:
        return None
    return (shifted(end, job.spec.ttl_seconds_after_finished or 0) - now).total_seconds()
