"""What a request is about, and how long that is remembered."""

import pytest

from pybernetes.apiserver.filters import exchange as module
from pybernetes.apiserver.filters.exchange import describe
from pybernetes.wire.http import Request

from .links import PODS, request


@pytest.mark.parametrize(
    ("asked", "long_running", "mutating"),
    [
        (request("GET", PODS), False, False),
        (request("GET", PODS, "watch=1"), True, False),
        (request("GET", f"{PODS}/a/log"), True, False),
        (request("POST", PODS), False, True),
        (request("DELETE", f"{PODS}/a"), False, True),
        (request("POST", f"{PODS}/a/exec"), True, True),
        (request("GET", "/healthz"), False, False),
        (request("POST", "/healthz"), False, True),
    ],
)
def test_kinds_of_requests(asked: Request, long_running: bool, mutating: bool) -> None:
    description = describe(asked)
    assert (description.long_running, description.mutating) == (long_running, mutating)


def test_requests_that_say_the_same_share_their_description() -> None:
    assert describe(request("GET", PODS, "limit=1", accept="a")) is describe(
        request("GET", PODS, "limit=1", accept="b")
    )


def test_long_requests_are_not_remembered() -> None:
    before = module._describe.cache_info().currsize
    description = describe(request("GET", PODS, "labelSelector=" + "a" * 5000))
    assert description.info.label_selector == "a" * 5000
    assert module._describe.cache_info().currsize == before
