"""Waits: of finished jobs, of kubelets' caches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import meta_v1 as meta
from pybernetes.controllers.ttl.plan import BOUNDARIES, step_after
from pybernetes.controllers.ttlafterfinished.plan import time_left

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(ttl: int | None, end: str = "Complete", status: str = "True", deleting: bool = False) -> batch.Job:
    finished = NOW - timedelta(seconds=10)
    return batch.Job(
        metadata=meta.ObjectMeta(name="j", deletion_timestamp=NOW if deleting else None),
        spec=batch.JobSpec(ttl_seconds_after_finished=ttl),
        status=batch.JobStatus(
            conditions=[batch.JobCondition(type=end, status=status, last_transition_time=finished)] if end else []
        ),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (job(30), 20.0),
        (job(10), 0.0),
        (job(0, "Failed"), -10.0),
        (job(None), None),
        (job(30, ""), None),
        (job(30, "Suspended"), None),
        (job(30, "Complete", "False"), None),
        (job(30, deleting=True), None),
    ],
)
def test_time_left(given: batch.Job, expected: float | None) -> None:
    assert time_left(given, NOW) == expected


def test_boundaries_overlap() -> None:
    def seconds(*sizes: int) -> list[int]:
        step, found = 0, []
        for size in sizes:
            step = step_after(step, size)
            found.append(BOUNDARIES[step][2])
        return found

    assert seconds(100, 101, 95, 90, 89) == [0, 15, 15, 15, 0]
    assert seconds(5000, 50000, 0) == [300, 300, 0]
