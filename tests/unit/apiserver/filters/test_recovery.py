"""Every failure becomes a Status, every answer has its id."""

import json
import logging

import pytest

from pybernetes.api import errors
from pybernetes.apiserver.filters.recovery import Recovery
from pybernetes.store.types import Closed, NoSpace, StoreError
from pybernetes.wire.http import Response, StreamingResponse

from .links import OK, PODS, Next, exchange, request, run


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (errors.not_found("", "pods", "a"), 404, 'pods "a" not found'),
        (Closed("closed"), 503, "the server is shutting down"),
        (NoSpace("no space is left"), 500, "no space is left"),
        (errors.too_many_requests("wait", 7), 429, "wait"),
        (RecursionError("maximum recursion depth exceeded"), 400, "exceeded max depth"),
    ],
)
def test_what_is_foreseen(failure: Exception, code: int, message: str, caplog: pytest.LogCaptureFixture) -> None:
    answered = run(Recovery(), exchange(), Next(failure))
    assert isinstance(answered, Response)
    status = json.loads(answered.body)
    assert (answered.status, status["code"], status["message"]) == (code, code, message)
    assert (("Retry-After", "7") in answered.headers) is (code == 429)
    assert not caplog.records


def test_what_the_store_refuses_is_told_in_its_words_and_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    answered = run(Recovery(), exchange(), Next(StoreError("the disk is broken")))
    assert isinstance(answered, Response)
    status = json.loads(answered.body)
    assert (status["code"], status["message"], status.get("reason")) == (500, "the disk is broken", None)
    [record] = caplog.records
    assert record.getMessage() == f"GET b'{PODS}' failed: the disk is broken" and record.exc_info is None


def test_what_nobody_has_foreseen_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answered = run(Recovery(), exchange(), Next(ZeroDivisionError("by zero")))
    assert answered.status == 500
    assert ("Audit-Id", "id") in answered.headers
    assert [record.getMessage() for record in caplog.records] == [f"GET b'{PODS}' failed"]
    assert caplog.records[0].exc_info is not None


def test_a_failure_in_a_form_that_is_not_known_is_told_as_json() -> None:
    asked = exchange(request("GET", PODS, accept="image/png"))
    answered = run(Recovery(), asked, Next(errors.not_found("", "pods", "a")))
    assert isinstance(answered, Response)
    assert json.loads(answered.body)["code"] == 404


def test_answers_have_the_id() -> None:
    assert run(Recovery(), exchange(), Next(OK)) == Response(200, (("Audit-Id", "id"),), b"ok")

    async def produce(writer: object) -> None: ...

    streamed = StreamingResponse(produce, headers=(("A", "b"),))
    answered = run(Recovery(), exchange(), Next(streamed))
    assert answered.headers == (("A", "b"), ("Audit-Id", "id"))
