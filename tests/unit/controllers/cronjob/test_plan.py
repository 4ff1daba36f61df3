"""Cron schedules, and what cron jobs do about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api import cron
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core
from pybernetes.controllers.cronjob import plan as cronplan

from ..objects import NOW, ago, meta

START = datetime(2026, 3, 7, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-03-07 03:05"),
        ("*/15 3 * * *", "2026-03-07 03:15"),
        ("@hourly", "2026-03-07 04:00"),
        ("30 6-16/4 * * 1-5", "2026-03-09 06:30"),
        ("0 0 13 * fri", "2026-03-13 00:00"),  # either of the two
        ("0 0 * * SUN", "2026-03-08 00:00"),
        ("0 12 29 feb *", "2028-02-29 12:00"),
        ("TZ=Asia/Tokyo 0 0 * * *", "2026-03-07 15:00"),
        ("@every 90s", "2026-03-07 03:05:35"),
    ],
)
def test_next(text: str, expected: str) -> None:
    assert cron.parse(text).next(START) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_date_that_never_comes() -> None:
    assert cron.parse("0 0 31 2 *").next(START) is None


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("30 2 * * *", "2026-03-08 00:00", ["2026-03-09 06:30", "2026-03-10 06:30"]),  # the clock leaps over 2:30
        ("30 1 * * *", "2026-11-01 00:00", ["2026-11-01 05:30", "2026-11-01 06:30"]),  # 1:30 comes twice
    ],
)
def test_daylight_saving(text: str, start: str, expected: list[str]) -> None:
    schedule = cron.parse(text, ZoneInfo("America/New_York"))
    moment: datetime | None = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("America/New_York"))
    found = []
    for _ in expected:
        assert moment is not None
        moment = schedule.next(moment)
        found.append(f"{moment:%Y-%m-%d %H:%M}")
    assert found == expected


SCHEDULES = [
    "* * * * *",
    "*/7 * * * *",
    "0 3 * * *",
    "* * * 1,2 *",
    "59 23 31 12 *",
    "30 2 8 3 *",
    "@every 61m",
    "@every 90s",
]
hours = st.integers(0, 24 * 60)


@given(st.sampled_from(SCHEDULES), hours, hours, st.integers(0, 59))
def test_the_last_time_is_the_last_of_the_next(text: str, back: int, span: int, second: int) -> None:
    schedule = cron.parse(text, ZoneInfo("America/New_York"))
    after = START.replace(second=second) - timedelta(minutes=back)
    until = after + timedelta(minutes=span)
    last, following = None, schedule.next(after)
    while following is not None and following <= until:
        last, following = following, schedule.next(following)
    assert schedule.last(after, until) == last


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@given(st.sets(st.integers(0, 59), min_size=1, max_size=4), st.integers(0, 60 * 24 * 300))
def test_the_next_time_is_found_minute_by_minute_too(zone: str, minutes: set[int], start: int) -> None:
    """Also where clocks leap by half an hour, or are a quarter of one off."""
    schedule = cron.parse(f"{','.join(map(str, minutes))} * * * *", ZoneInfo(zone))
    moment = START.replace(second=0) + timedelta(minutes=start)
    following = moment + timedelta(minutes=1)
    while following.astimezone(ZoneInfo(zone)).minute not in minutes:
        following += timedelta(minutes=1)
    assert schedule.next(moment) == following


@pytest.mark.parametrize(
    ("text", "created"),
    [
        ("* * * * *", "1026-03-07 03:04"),
        ("@every 1s", "1026-03-07 03:04"),
        ("0 0 29 2 *", "1026-03-07 03:04"),
        ("* * * 2,3 *", "1025-03-31 23:58"),  # from here on by steps of ten months, each of 86,400 minutes
        ("* * * 2,3 *", "2025-03-31 23:58"),
    ],
)
def test_a_thousand_years_of_missed_starts_are_found_in_few_steps(
    text: str, created: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = cron.parse(text)
    steps = 0
    real = type(schedule).next

    def counted(self: Any, after: datetime) -> datetime | None:
        nonlocal steps
        steps += 1
        return real(self, after)

    monkeypatch.setattr(type(schedule), "next", counted)
    given = cronjob(text)
    given.metadata.creation_timestamp = datetime.fromisoformat(created).replace(tzinfo=UTC)
    found = cronplan.plan(given, (), (), START)
    assert found.scheduled is not None and found.scheduled <= START < (schedule.next(found.scheduled) or START)
    assert steps < 100


@pytest.mark.parametrize("text", ["* * * * *", "@every 1h", "0 0 1 1 *"])
def test_times_at_the_end_of_time_start_nothing(text: str) -> None:
    given = cronjob(text)
    given.status.last_schedule_time = datetime.max.replace(tzinfo=UTC)
    found = cronplan.plan(given, (), (), NOW)
    assert found.create is None


def test_a_deadline_beyond_all_times_is_none() -> None:
    found = cronplan.plan(cronjob(created=90, starting_deadline_seconds=2**63 - 1), (), (), NOW)
    assert found.create is not None


def test_durations_end_where_those_of_go_do() -> None:
    assert "invalid duration" in cron.schedule_error("@every 99999999999999h")
    assert cron.schedule_error("@every 2562047h") == ""


def cronjob(schedule: str = "* * * * *", created: float = 30, **spec: Any) -> batch.CronJob:
    return batch.CronJob(
        metadata=meta("c", creation_timestamp=ago(created)),
        spec=batch.CronJobSpec(schedule=schedule, concurrency_policy="Allow", **spec),
    )


def active(name: str) -> core.ObjectReference:
    return core.ObjectReference(name=name, namespace="ns", uid=name)


def job(name: str, ended: str = "", seconds: float = 10) -> batch.Job:
    conditions = [batch.JobCondition(type=ended, status="True")] if ended else []
    done = ago(seconds) if ended == "Complete" else None
    status = batch.JobStatus(conditions=conditions, start_time=ago(seconds + 5), completion_time=done)
    return batch.Job(metadata=meta(name), status=status)


def reasons(decision: cronplan.Decision) -> list[str]:
    return [reason for _, reason, _ in decision.events]


def test_a_minute_starts_a_job() -> None:
    decision = cronplan.plan(cronjob(), [], (), NOW)
    assert decision.create is not None and decision.scheduled == NOW
    assert decision.create.metadata.name == f"c-{int(NOW.timestamp()) // 60}"
    assert decision.create.metadata.annotations[cronplan.SCHEDULED_AT] == "2026-01-01T12:00:00Z"
    assert decision.again == NOW + timedelta(seconds=60, milliseconds=100)


def test_before_the_minute() -> None:
    decision = cronplan.plan(cronjob(created=5), [], (), NOW - timedelta(seconds=1))
    assert decision.create is None and decision.again == NOW + cronplan.DELAY


def test_a_time_is_acted_upon_once() -> None:
    cj = cronjob(created=300)
    cj.status.last_schedule_time = NOW
    assert cronplan.plan(cj, [], (), NOW + timedelta(seconds=5)).create is None


@pytest.mark.parametrize(
    ("spec", "creates", "told"),
    [
        ({"suspend": True}, False, []),
        ({"schedule": "x"}, False, ["UnparseableSchedule"]),
        ({"time_zone": "No/Where"}, False, ["UnknownTimeZone"]),
        ({"schedule": "0 0 31 2 *"}, False, ["InvalidSchedule"]),
        ({"created": 7200}, True, ["TooManyMissedTimes"]),
        ({"created": 7200, "starting_deadline_seconds": 100}, True, []),
    ],
)
def test_specs(spec: dict[str, Any], creates: bool, told: list[str]) -> None:
    decision = cronplan.plan(cronjob(**spec), [], (), NOW)
    assert (decision.create is not None, reasons(decision)) == (creates, told)


def test_too_late() -> None:
    cj = cronjob("0 * * * *", created=3600, starting_deadline_seconds=60)
    assert cronplan.plan(cj, [], (), NOW + timedelta(seconds=30)).create is not None
    assert cronplan.plan(cj, [], (), NOW + timedelta(seconds=90)).create is None


@pytest.mark.parametrize(
    ("policy", "creates", "replaced"), [("Allow", True, 0), ("Forbid", False, 0), ("Replace", True, 1)]
)
def test_concurrency(policy: str, creates: bool, replaced: int) -> None:
    cj = cronjob()
    cj.spec.concurrency_policy = policy
    cj.status.active = [active("c-1")]
    decision = cronplan.plan(cj, [job("c-1")], (), NOW)
    assert (decision.create is not None, len(decision.replace)) == (creates, replaced)
    assert ("JobAlreadyActive" in reasons(decision)) == (policy == "Forbid")


def test_what_jobs_came_to() -> None:
    cj = cronjob(created=1)
    cj.status.active = [active("done"), active("gone"), active("runs")]
    jobs = [job("done", "Complete"), job("runs"), job("strange")]
    decision = cronplan.observe(cj, jobs, {"gone"})
    assert [ref.name for ref in decision.status.active] == ["runs"]
    assert decision.status.last_successful_time == ago(10)
    assert [text for _, _, text in decision.events] == [
        "Saw completed job: done, condition: Complete",
        "Saw a job that the controller did not create or forgot: strange",
        "Active job went missing: gone",
    ]


def test_the_history_is_limited() -> None:
    cj = cronjob(successful_jobs_history_limit=1, failed_jobs_history_limit=0)
    jobs = [job("new", "Complete", 1), job("old", "Complete", 100), job("bad", "Failed"), job("runs")]
    assert [j.metadata.name for j in cronplan.surplus_jobs(cj, jobs)] == ["old", "bad"]
