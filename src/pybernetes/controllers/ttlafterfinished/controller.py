"""Deletes jobs some time after they have finished (upstream: pkg/controller/ttlafterfinished)."""

from __future__ import annotations

from datetime import datetime

from pybernetes.api.errors import StatusError
from pybernetes.api.times import shifted
from pybernetes.api.types import batch_v1 as batch

from ..common import Key
from ..framework import Context, Controller


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


class TTLAfterFinishedController(Controller):
    """One queue of jobs."""

    name = "ttl-after-finished-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_ttl_after_finished_syncs)
        self._jobs = self.informer(batch.Job)
        self._jobs.add_handler(self._on_job)

    def _on_job(self, old: batch.Job | None, new: batch.Job | None) -> None:
        if new is not None and finished_at(new) is not None:
            self.enqueue(new)

    async def sync(self, key: Key) -> None:
        """Deletes it when it is time, or comes back."""
        job = self._jobs.get(key[1], key[0])
        left = time_left(job, self.now()) if job is not None else None
        if left is not None and left > 0:
            self.queue.add_after(key, left)
        if left is None or left > 0:
            return
        try:
            # The cache may not know yet that somebody gave the job more time.
            fresh = await self.client.get(batch.Job, key[1], key[0])
            left = time_left(fresh, self.now())
            if left is None:
                return
            if left > 0:
                self.queue.add_after(key, left)
                return
            await self.client.delete(batch.Job, key[1], key[0], uid=fresh.metadata.uid, propagation="Foreground")
        except StatusError as error:
            if error.code != 404:
                raise
