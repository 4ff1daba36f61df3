"""Starts jobs by the clock (upstream: pkg/controller/cronjob). What a sync does is in plan.py."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.aio import apart
from pybernetes.api.errors import StatusError
from pybernetes.api.owners import controlled_by, controller_of
from pybernetes.api.types import batch_v1 as batch
from pybernetes.client.eventoutbox import reference_to
from pybernetes.client.retry import retry_on_conflict

from ..common import Key, clone, namespace_terminating
from ..framework import BY_CONTROLLER, Context, Controller, index_by_controller, resolve
from ..job.util import finished_condition
from . import plan


class CronJobController(Controller):
    """One queue of cron jobs; jobs lead to theirs."""

    name = "cronjob-controller"
    queue_name = "cronjob"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_cron_job_syncs)
        self._crons = self.informer(batch.CronJob)
        self._jobs = self.informer(batch.Job)
        self._jobs.add_index(BY_CONTROLLER, index_by_controller)
        self._crons.add_handler(self.on_change)
        self._jobs.add_handler(self._on_job)

    def _on_job(self, old: batch.Job | None, new: batch.Job | None) -> None:
        for job in (old, new):
            owner = resolve(self._crons, controller_of(job), job.metadata.namespace, "CronJob") if job else None
            if owner is not None:
                self.enqueue(owner)

    async def sync(self, key: Key) -> None:
        """Notes what the jobs came to, starts what is due, deletes what is beyond the history."""
        cj = self._crons.get(key[1], key[0])
        if cj is None:
            return
        jobs: list[batch.Job] = list(self._jobs.by_index(BY_CONTROLLER, cj.metadata.uid))
        if self._forgotten(cj, jobs):  # the cache may lag behind our own last write: the server knows
            cj = await self._fresh(cj)
            if cj is None:
                return
        gone = await self._gone(cj, jobs)
        await apart.run(len(cj.spec.schedule), plan.remember, cj)
        decision = plan.plan(cj, jobs, gone, self.now())
        for type, reason, text in decision.events:
            self.recorder.event(cj, type, reason, text)
        try:
            await self._start(cj, decision)
        finally:
            await self._clean_up(cj, jobs)
            await self._write_status(cj, decision)
        if decision.again is not None:
            self.look_again(key, (decision.again - self.now()).total_seconds())

    async def _fresh(self, cj: batch.CronJob) -> batch.CronJob | None:
        try:
            return await self.client.get(batch.CronJob, cj.metadata.name, cj.metadata.namespace)
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    @staticmethod
    def _forgotten(cj: batch.CronJob, jobs: Sequence[batch.Job]) -> bool:
        active = {reference.uid for reference in cj.status.active}
        return any(finished_condition(job) is None and job.metadata.uid not in active for job in jobs)

    async def _gone(self, cj: batch.CronJob, jobs: Sequence[batch.Job]) -> set[str]:
        """Uids of active jobs that the server does not have either."""
        cached = {job.metadata.uid for job in jobs}
        gone = set()
        for reference in cj.status.active:
            if reference.uid in cached:
                continue
            try:
                await self.client.get(batch.Job, reference.name, reference.namespace)
            except StatusError as error:
                if error.code != 404:
                    raise
                gone.add(reference.uid)
        return gone

    async def _start(self, cj: batch.CronJob, decision: plan.Decision) -> None:
        for reference in decision.replace:
            await self._delete(cj, reference.name, reference.namespace)
        if decision.create is None or decision.scheduled is None:
            return
        try:
            job = await self.client.create(decision.create)
        except StatusError as error:
            if namespace_terminating(error):
                return
            if error.reason != "AlreadyExists":
                self.recorder.warning(cj, "FailedCreate", f"Error creating job: {error}")
                raise
            job = await self.client.get(batch.Job, decision.create.metadata.name, cj.metadata.namespace)
            if not controlled_by(job, cj):
                raise
        else:
            self.recorder.normal(cj, "SuccessfulCreate", f"Created job {job.metadata.name}")
        if finished_condition(job) is None:
            decision.status.active.append(reference_to(job))
        decision.status.last_schedule_time = decision.scheduled

    async def _delete(self, cj: batch.CronJob, name: str, namespace: str) -> None:
        try:
            await self.client.delete(batch.Job, name, namespace, propagation="Background")
        except StatusError as error:
            if error.code == 404:
                return
            self.recorder.warning(cj, "FailedDelete", f"Deleted job: {error}")
            raise
        self.recorder.normal(cj, "SuccessfulDelete", f"Deleted job {name}")

    async def _clean_up(self, cj: batch.CronJob, jobs: Sequence[batch.Job]) -> None:
        for job in plan.surplus_jobs(cj, jobs):
            if job.metadata.deletion_timestamp is None:
                await self._delete(cj, job.metadata.name, job.metadata.namespace)

    async def _write_status(self, cj: batch.CronJob, decision: plan.Decision) -> None:
        if decision.status == cj.status:
            return

        async def write(newest: batch.CronJob | None) -> None:
            if newest is not None and newest.metadata.uid == cj.metadata.uid:
                copy = clone(newest)
                copy.status = decision.status
                await self.client.update(copy, "status")

        # On a conflict, too: a job was started already, and that must not be forgotten.
        cached: batch.CronJob | None = cj
        await retry_on_conflict(write, cached, lambda: self._fresh(cj), self.context.clock)
