"""Writes over what somebody else has written."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.client.retry import AT_ONCE, DEFAULT_RETRY, Backoff, retry_on_conflict

CONFLICT = errors.conflict("", "pods", "a", "changed")


def played(answers: list[StatusError | str], backoff: Backoff) -> tuple[list[str], str | StatusError]:
    """What was written (k known, r read) with answers as given, and what came of it."""
    written: list[str] = []

    async def write(version: str) -> str:
        written.append(version)
        answer = answers.pop(0)
        if isinstance(answer, StatusError):
            raise answer
        return answer

    async def read() -> str:
        return "r"

    async def main() -> str | StatusError:
        clock = VirtualClock()
        work = asyncio.ensure_future(retry_on_conflict(write, "k", read, clock, backoff))
        for _ in range(10):
            await clock.advance(1.0)
        try:
            return await work
        except StatusError as error:
            return error

    return written, asyncio.run(main())


@pytest.mark.parametrize(
    ("answers", "backoff", "written", "result"),
    [
        (["done"], DEFAULT_RETRY, "k", "done"),
        ([CONFLICT, CONFLICT, "done"], DEFAULT_RETRY, "krr", "done"),
        ([CONFLICT] * 9, DEFAULT_RETRY, "krrrr", CONFLICT),
        ([CONFLICT] * 9, AT_ONCE, "kr", CONFLICT),
    ],
)
def test_conflicts(answers: list[StatusError | str], backoff: Backoff, written: str, result: object) -> None:
    assert played(list(answers), backoff) == (list(written), result)


@pytest.mark.parametrize("error", [errors.not_found("", "pods", "a"), errors.already_exists("", "pods", "a")])
def test_other_errors_are_raised_at_once(error: StatusError) -> None:
    assert played([error], DEFAULT_RETRY) == (["k"], error)


def test_pauses_are_client_gos() -> None:
    pauses = DEFAULT_RETRY.pauses()
    assert len(pauses) == 4 and all(0.01 <= pause <= 0.011 for pause in pauses)
    assert Backoff(4, 0.01, 5.0).pauses() == pytest.approx([0.01, 0.05, 0.25])
