"""Whatever is sent, the server does not fail: requests at random over all published paths, of one seed so that it can be played again.

FUZZ_REQUESTS=25000 sends as many (.ci/run does), FUZZ_SEED=7 others.
"""

from __future__ import annotations

import asyncio
import os

from .fuzzing import fuzz

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "5000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
GROWTH = 200 << 20  # bytes: what is stored on the way, and the largest body and answer
SLOWEST = 5.0  # seconds, on a machine that others use; most take milliseconds


def test_nothing_that_is_sent_makes_the_server_fail() -> None:
    report = asyncio.run(fuzz(REQUESTS, SEED))
    assert report.failures == []
    assert sum(report.statuses.values()) >= REQUESTS
    assert {200, 201, 400, 404, 405, 406, 409, 415, 422} <= set(report.statuses)  # the dice reach all kinds of answers
    assert report.grown < GROWTH
    assert report.slowest[0] < SLOWEST, report.slowest
