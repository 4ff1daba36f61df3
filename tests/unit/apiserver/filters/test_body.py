"""Bodies are read only of who may ask."""

from __future__ import annotations

import dataclasses
import gc

import pytest

from pybernetes.aio import apart
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.filters.body import Body
from pybernetes.apiserver.filters.exchange import Exchange
from pybernetes.wire.body import IncomingBody
from pybernetes.wire.http import Response

from .links import OK, PODS, Next, exchange, request, run


def unread(limit: int = 10) -> IncomingBody:
    return IncomingBody(limit, lambda: None)


def test_the_rest_of_the_chain_sees_the_whole_body() -> None:
    incoming, rest = unread(), Next(OK)
    incoming.feed(b"{}")
    incoming.finish()
    asked = exchange(dataclasses.replace(request("POST", PODS), incoming=incoming))
    assert run(Body(), asked, rest) is OK
    assert (asked.request.body, asked.request.incoming) == (b"{}", None)


def test_requests_without_one_pass() -> None:
    rest = Next(OK)
    assert run(Body(), exchange(request("GET", PODS)), rest) is OK


@pytest.mark.parametrize("announced", [True, False])
def test_too_large(announced: bool) -> None:
    incoming = unread()
    if announced:
        incoming.announce(11)
    else:
        incoming.feed(b"x" * 6)
        incoming.feed(b"x" * 6)
    asked = exchange(dataclasses.replace(request("POST", PODS), incoming=incoming))
    with pytest.raises(StatusError) as refused:
        run(Body(), asked, Next(OK))
    assert (refused.value.code, refused.value.reason) == (413, "RequestEntityTooLarge")
    assert str(refused.value) == "Request entity too large: limit is 10"


def test_what_never_comes_is_a_bad_request() -> None:
    incoming = unread()
    incoming.fail(408)
    asked = exchange(dataclasses.replace(request("POST", PODS), incoming=incoming))
    with pytest.raises(StatusError) as refused:
        run(Body(), asked, Next(OK))
    assert refused.value.code == 400


@pytest.mark.parametrize(("size", "rests"), [(10, False), (apart.LARGE, True)])
def test_the_collector_rests_while_a_large_body_is_worked_on(size: int, rests: bool) -> None:
    """Whether it came along or comes still."""
    incoming = unread(size)
    incoming.feed(b"x" * size)
    incoming.finish()
    for given in ({"incoming": incoming}, {"body": b"x" * size}):
        collecting: list[bool] = []

        async def rest(_: Exchange, collecting: list[bool] = collecting) -> Response:
            collecting.append(gc.isenabled())
            return OK

        assert run(Body(), exchange(dataclasses.replace(request("POST", PODS), **given)), rest) is OK  # type: ignore[arg-type]
        assert (collecting, gc.isenabled()) == ([not rests], True)
