"""When a CronJob starts which job; pure (upstream: pkg/controller/cronjob, cronjob_controllerv2.go, utils.go)."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from pybernetes.api import cron
from pybernetes.api.owners import controller_ref
from pybernetes.api.times import shifted
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ..common import clone
from ..job.util import finished_condition

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
DELAY = timedelta(milliseconds=100)  # after the minute: clocks of servers differ a little
MANY_MISSED = 100

Event = tuple[str, str, str]


@dataclass
class Decision:
    """What a sync does. `status` is the status afterwards, without the job that is to be created."""

    status: batch.CronJobStatus
    events: list[Event] = field(default_factory=list)
    replace: list[core.ObjectReference] = field(default_factory=list)
    create: batch.Job | None = None
    scheduled: datetime | None = None
    again: datetime | None = None
    schedule: cron.Schedule | None = None


def remember(cj: batch.CronJob) -> None:
    """Reads the schedule: of one that is as long as an object may be it takes seconds, and is remembered then."""
    with contextlib.suppress(cron.ScheduleError):
        schedule_of(cj)


def schedule_of(cj: batch.CronJob) -> cron.Schedule:
    """cron.ScheduleError where the schedule or the time zone is wrong."""
    zone = cron.load_zone(cj.spec.time_zone) if cj.spec.time_zone else UTC
    return cron.parse(cj.spec.schedule, zone)


def most_recent(
    cj: batch.CronJob, schedule: cron.Schedule, now: datetime, with_deadline: bool
) -> tuple[datetime | None, int]:
    """The last time that was due and not acted upon, and how many there were. ValueError for an impossible date."""
    earliest = cj.status.last_schedule_time or cj.metadata.creation_timestamp or now
    deadline = cj.spec.starting_deadline_seconds
    if with_deadline and deadline is not None:
        earliest = max(earliest, shifted(now, -deadline))
    first = schedule.next(earliest)
    second = schedule.next(first) if first is not None else None
    if first is None or second is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    if now < first:
        return None, 0
    if now < second:
        return first, 1
    step = round((second - first).total_seconds())
    missed = int((now - first).total_seconds()) // step + 1
    # One step further back, and from there by the schedule: steps need not be equal.
    return schedule.last(shifted(first, (missed - 2) * step), now), missed


def next_time(cj: batch.CronJob, schedule: cron.Schedule, now: datetime) -> datetime | None:
    """When to look again: a little after the next start; None where there is none in the next years."""
    try:
        last, _ = most_recent(cj, schedule, now, with_deadline=False)
    except ValueError:
        last = now
    start = last or cj.status.last_schedule_time or cj.metadata.creation_timestamp or now
    following = schedule.next(start)
    return following + DELAY if following is not None else None


def job_name(cj: batch.CronJob, scheduled: datetime) -> str:
    """The same for the same minute: no start happens twice."""
    return f"{cj.metadata.name}-{int(scheduled.timestamp()) // 60}"


def new_job(cj: batch.CronJob, scheduled: datetime) -> batch.Job:
    """The job of a time."""
    template = cj.spec.job_template
    zone = cron.load_zone(cj.spec.time_zone) if cj.spec.time_zone else UTC
    stamp = scheduled.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    return batch.Job(
        metadata=meta.ObjectMeta(
            name=job_name(cj, scheduled),
            namespace=cj.metadata.namespace,
            labels=dict(template.metadata.labels),
            annotations={**template.metadata.annotations, SCHEDULED_AT: stamp},
            owner_references=[controller_ref(cj)],
        ),
        spec=clone(template.spec),
    )


def observe(cj: batch.CronJob, jobs: Sequence[batch.Job], gone: Collection[str]) -> Decision:
    """The status that the jobs amount to; `gone` are uids of active ones that are not there any more."""
    status = clone(cj.status)
    decision = Decision(status)
    active = {reference.uid for reference in status.active}
    for job in jobs:
        ended = finished_condition(job)
        if ended is None and job.metadata.uid not in active:
            text = f"Saw a job that the controller did not create or forgot: {job.metadata.name}"
            decision.events.append(("Warning", "UnexpectedJob", text))
        elif ended is not None and job.metadata.uid in active:
            status.active = [reference for reference in status.active if reference.uid != job.metadata.uid]
            text = f"Saw completed job: {job.metadata.name}, condition: {ended.type}"
            decision.events.append(("Normal", "SawCompletedJob", text))
        done = job.status.completion_time if ended is not None and ended.type == "Complete" else None
        if done is not None and (status.last_successful_time is None or done > status.last_successful_time):
            status.last_successful_time = done
    for reference in [reference for reference in status.active if reference.uid in gone]:
        status.active.remove(reference)
        decision.events.append(("Normal", "MissingJob", f"Active job went missing: {reference.name}"))
    return decision


def plan(cj: batch.CronJob, jobs: Sequence[batch.Job], gone: Collection[str], now: datetime) -> Decision:
    """One sync: what the jobs came to, and what is due now."""
    decision = observe(cj, jobs, gone)
    if cj.metadata.deletion_timestamp is not None or cj.spec.suspend:
        return decision
    schedule = _schedule(cj, decision)
    if schedule is None:
        return decision
    current = msgspec.structs.replace(cj, status=decision.status)
    decision.schedule = schedule
    decision.again = next_time(current, schedule, now)
    scheduled = _due(current, schedule, now, decision)
    if scheduled is None or not _may_start(current, scheduled, now, decision):
        return decision
    if cj.spec.concurrency_policy == "Replace":
        decision.replace, decision.status.active = list(decision.status.active), []
    decision.create, decision.scheduled = new_job(cj, scheduled), scheduled
    return decision


def _schedule(cj: batch.CronJob, decision: Decision) -> cron.Schedule | None:
    if cj.spec.time_zone:
        try:
            cron.load_zone(cj.spec.time_zone)
        except cron.ScheduleError:
            text = f'invalid timeZone: "{cj.spec.time_zone}": unknown time zone {cj.spec.time_zone}'
            decision.events.append(("Warning", "UnknownTimeZone", text))
            return None
    try:
        return schedule_of(cj)
    except cron.ScheduleError as error:
        text = f'unparseable schedule: "{cj.spec.schedule}" : {error}'
        decision.events.append(("Warning", "UnparseableSchedule", text))
        return None


def _due(cj: batch.CronJob, schedule: cron.Schedule, now: datetime, decision: Decision) -> datetime | None:
    try:
        scheduled, missed = most_recent(cj, schedule, now, with_deadline=True)
    except ValueError as error:
        text = f"invalid schedule: {cj.spec.schedule} : {error}"
        decision.events.append(("Warning", "InvalidSchedule", text))
        decision.again = None
        return None
    if missed > MANY_MISSED:
        text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        decision.events.append(("Warning", "TooManyMissedTimes", text))
    return scheduled


def _may_start(cj: batch.CronJob, scheduled: datetime, now: datetime, decision: Decision) -> bool:
    deadline = cj.spec.starting_deadline_seconds
    if deadline is not None and shifted(scheduled, deadline) < now:
        text = f"Missed scheduled time to start a job: {scheduled:%a, %d %b %Y %H:%M:%S +0000}"
        decision.events.append(("Warning", "MissSchedule", text))
        return False
    name = job_name(cj, scheduled)
    if cj.status.last_schedule_time == scheduled or any(ref.name == name for ref in cj.status.active):
        return False  # it was acted upon, whatever the cache says
    if cj.spec.concurrency_policy == "Forbid" and cj.status.active:
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        decision.events.append(("Normal", "JobAlreadyActive", text))
        return False
    return True


def surplus_jobs(cj: batch.CronJob, jobs: Sequence[batch.Job]) -> list[batch.Job]:
    """The oldest finished jobs beyond the limits of the history."""
    result: list[batch.Job] = []
    limits = (("Complete", cj.spec.successful_jobs_history_limit), ("Failed", cj.spec.failed_jobs_history_limit))
    for type, limit in limits:
        ended = [job for job in jobs if (end := finished_condition(job)) is not None and end.type == type]
        if limit is not None and len(ended) > limit:
            ended.sort(key=lambda job: (_started(job), job.metadata.name))
            result += ended[: len(ended) - limit]
    return result


def _started(job: batch.Job) -> float:
    moment = job.status.start_time
    return moment.timestamp() if moment is not None else float("inf")
