"""How long a request may take."""

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.filters.deadline import Deadline
from pybernetes.wire.http import Request

from .links import OK, PODS, Next, exchange, never, request, run


@pytest.mark.parametrize(
    ("asked", "seconds", "after"),
    [
        (request("POST", PODS), 30.0, 30.0),
        (request("POST", PODS, "timeout=10s"), 30.0, 10.0),
        (request("POST", PODS, "timeout=50s"), 30.0, 30.0),
        (request("GET", PODS, "timeout=10s"), 0.0, 10.0),
        (request("POST", PODS, "timeout=0s"), 30.0, 30.0),
    ],
)
def test_timed_out(asked: Request, seconds: float, after: float) -> None:
    async def main() -> None:
        clock = VirtualClock()
        one = exchange(asked)
        answer = asyncio.ensure_future(Deadline(seconds, clock)(one, never))
        await clock.advance(after - 0.1)
        assert not answer.done()
        assert one.deadline == after
        await clock.advance(0.2)
        with pytest.raises(StatusError) as error:
            await answer
        assert str(error.value) == "Timeout: request did not complete within the allotted timeout"
        assert error.value.code == 504

    asyncio.run(main())


def test_bad_timeout() -> None:
    with pytest.raises(StatusError, match="invalid timeout specified in the request URL"):
        run(Deadline(60, VirtualClock()), exchange(request("GET", PODS, "timeout=x")), Next())


@pytest.mark.parametrize(
    ("asked", "deadline"),
    [(request("GET", PODS), 65.0), (request("GET", PODS, "watch=1"), None)],
)
def test_what_only_reads_or_goes_on_has_no_alarm(asked: Request, deadline: float | None) -> None:
    clock, one = VirtualClock(), exchange(asked, started=5.0)
    assert run(Deadline(60, clock), one, Next()) is OK
    assert (one.deadline, clock.sleepers) == (deadline, 0)


def test_without_a_limit() -> None:
    one = exchange(request("POST", PODS))
    assert run(Deadline(0, VirtualClock()), one, Next()) is OK
    assert one.deadline is None
