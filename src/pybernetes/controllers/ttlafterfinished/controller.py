"""Deletes jobs some time after they have finished (upstream: pkg/controller/ttlafterfinished)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import batch_v1 as batch

from ..common import Key
from ..framework import Context, Controller
from .plan import finished_at, time_left


class TTLAfterFinishedController(Controller):
    """One queue of jobs; a finished one comes back when its time is over."""

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
            self.look_again(key, left)
        if left is None or left > 0:
            return
        try:
            # The cache may not know yet that somebody gave the job more time.
            fresh = await self.client.get(batch.Job, key[1], key[0])
            left = time_left(fresh, self.now())
            if left is None:
                return
            if left > 0:
                self.look_again(key, left)
                return
            await self.client.delete(batch.Job, key[1], key[0], uid=fresh.metadata.uid, propagation="Foreground")
        except StatusError as error:
            if error.code != 404:
                raise
