"""What an audit event says of a request, at each of its stages."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.apiserver import audit
from pybernetes.apiserver.audit import AuditEvent, ObjectReference, Stage
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters.audit import Audit
from pybernetes.apiserver.filters.exchange import Exchange
from pybernetes.store.types import Closed
from pybernetes.wire.http import Request, Response, StreamingResponse, UpgradeResponse

from .links import NOW, OK, PODS, Next, exchange, never, request, run

CLOCK = VirtualClock()


def link() -> Audit:
    return Audit(CLOCK)


def event(asked: Request) -> AuditEvent:
    return exchange(asked).event


# --- stages and answers -------------------------------------------------------------------------


def test_received() -> None:
    one = event(request("GET", PODS))
    assert (one.stage, one.stage_time, one.received, one.response) == (Stage.REQUEST_RECEIVED, NOW, NOW, None)


@pytest.mark.parametrize("code", [200, 201, 429])
def test_what_went_well_has_its_code_alone(code: int) -> None:
    one = exchange()
    assert run(link(), one, Next(Response(code))).status == code
    assert (one.event.stage, one.event.response) == (Stage.RESPONSE_COMPLETE, {"code": code})


@pytest.mark.parametrize(
    ("failure", "stage", "response"),
    [
        (
            errors.not_found("", "pods", "a"),
            Stage.RESPONSE_COMPLETE,
            {
                "status": "Failure",
                "message": 'pods "a" not found',
                "reason": "NotFound",
                "details": {"name": "a", "kind": "pods"},
                "code": 404,
            },
        ),
        (
            Closed("closed"),
            Stage.RESPONSE_COMPLETE,
            {
                "status": "Failure",
                "message": "the server is shutting down",
                "reason": "ServiceUnavailable",
                "code": 503,
            },
        ),
        (
            ZeroDivisionError("by zero"),
            Stage.PANIC,
            {"status": "Failure", "message": "APIServer panic'd: by zero", "reason": "InternalError", "code": 500},
        ),
    ],
)
def test_failures(failure: Exception, stage: Stage, response: dict[str, Any]) -> None:
    one = exchange()
    with pytest.raises(type(failure)):
        run(link(), one, Next(failure))
    assert one.event.stage == stage
    assert response.items() <= (one.event.response or {}).items()
    assert set(one.event.response or {}) <= set(audit.STATUS_FIELDS)


def test_who_leaves_is_taken_to_have_been_answered() -> None:
    one = exchange()

    async def main() -> None:
        task = asyncio.ensure_future(link()(one, never))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    expected = {"status": "Success", "message": "Connection closed early", "code": 200}
    assert (one.event.stage, one.event.response) == (Stage.RESPONSE_COMPLETE, expected)


def test_a_large_list_goes_on_and_yet_only_completes() -> None:
    """ResponseStarted is of long-running requests, and a list is none."""
    one = exchange()

    async def produce(writer: Any) -> None: ...

    run(link(), one, Next(StreamingResponse(produce)))
    assert (one.event.stage, one.event.response) == (Stage.REQUEST_RECEIVED, {"code": 200})


@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_that_goes_on_starts_and_completes(fails: bool) -> None:
    clock, one = VirtualClock(start=3.0), exchange(request("GET", PODS, "watch=true"), started=1.0)

    async def produce(writer: Any) -> None:
        await clock.sleep(5)
        if fails:
            raise OSError("gone")

    async def main() -> None:
        start = NOW + timedelta(seconds=2)
        answered = await Audit(clock)(one, Next(StreamingResponse(produce)))
        assert isinstance(answered, StreamingResponse)
        assert (one.event.stage, one.event.stage_time, one.event.response) == (
            Stage.RESPONSE_STARTED,
            start,
            {"code": 200},
        )
        writer: Any = None
        producing = asyncio.ensure_future(answered.producer(writer))  # type: ignore[arg-type]
        await clock.advance(5)
        await asyncio.gather(producing, return_exceptions=True)
        assert (one.event.stage, one.event.stage_time) == (Stage.RESPONSE_COMPLETE, start + timedelta(seconds=5))

    asyncio.run(main())


def test_a_stream_switches_protocols_and_may_be_left() -> None:
    one = exchange()

    async def stream(upgraded: Any) -> None: ...

    answered = run(link(), one, Next(UpgradeResponse("tcp", stream)))
    assert (one.event.stage, one.event.response) == (Stage.RESPONSE_STARTED, {"code": 101})
    assert isinstance(answered, UpgradeResponse) and answered.abandoned is not None
    answered.abandoned()
    assert one.event.stage == Stage.RESPONSE_COMPLETE


# --- what it is about ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "verb", "reference"),
    [
        (f"{PODS}/a/log", "get", ObjectReference("pods", "default", "a", "", "v1", "log")),
        ("/apis/apps/v1/deployments", "list", ObjectReference("deployments", "", "", "apps", "v1", "")),
        ("/api/v1/nodes/n", "get", ObjectReference("nodes", "", "n", "", "v1", "")),
        ("/healthz", "get", None),
    ],
)
def test_the_object_of_a_path(path: str, verb: str, reference: ObjectReference | None) -> None:
    one = event(request("GET", path))
    assert (one.verb, one.object_ref) == (verb, reference)


def test_the_object_of_a_body_says_what_the_path_does_not() -> None:
    one = event(request("POST", PODS))
    one.of_object({"metadata": {"name": "b", "namespace": "other", "uid": "u", "resourceVersion": "7", "labels": {}}})
    assert one.object_ref == ObjectReference("pods", "default", "b", "", "v1", "", "u", "7")
    for odd in ({}, {"metadata": None}, {"metadata": []}):
        one.of_object(odd)
        assert one.object_ref == ObjectReference("pods", "default", "", "", "v1", "")


def test_request_uri_and_user_agent() -> None:
    one = event(request("GET", PODS, "limit=1&x=%2F", user_agent="k" * 1030))
    assert one.request_uri == f"{PODS}?limit=1&x=%2F"
    assert one.user_agent == "k" * 1024 + "...TRUNCATED"
    assert (event(request("GET", "/livez")).request_uri, event(request("GET", "/livez")).user_agent) == ("/livez", "")


@pytest.mark.parametrize(
    ("headers", "peer", "ips"),
    [
        ({}, "10.0.0.1", ["10.0.0.1"]),
        ({}, "", []),
        ({"x_forwarded_for": "1.1.1.1, 2.2.2.2"}, "10.0.0.1", ["1.1.1.1", "2.2.2.2", "10.0.0.1"]),
        ({"x_forwarded_for": "1.1.1.1,nonsense,"}, "1.1.1.1", ["1.1.1.1"]),
        ({"x_forwarded_for": "1.1.1.1", "x_real_ip": "3.3.3.3"}, "3.3.3.3", ["1.1.1.1", "3.3.3.3"]),
        ({"x_forwarded_for": "1.1.1.1, 2.2.2.2", "x_real_ip": "1.1.1.1"}, "::1", ["1.1.1.1", "2.2.2.2", "::1"]),
        ({"x_real_ip": "x"}, "fe80::1%eth0", ["fe80::1"]),
    ],
)
def test_source_ips(headers: dict[str, str], peer: str, ips: list[str]) -> None:
    asked = request("GET", PODS, **headers)
    asked = Request(asked.method, asked.raw_path, asked.query, asked.headers, peer=peer)
    assert event(asked).source_ips == ips


# --- annotations --------------------------------------------------------------------------------


def test_whoever_works_for_the_request_annotates_it(caplog: pytest.LogCaptureFixture) -> None:
    """Also in a task of its own; the first value of a key stays. Nobody's work is annotated nowhere."""

    async def end(exchange: Exchange) -> Answer:
        async def other() -> None:
            audit.annotate("b", "2")

        audit.annotate("a", "1")
        await asyncio.create_task(other())
        audit.annotate("a", "3")
        audit.annotate("a", "1")
        audit.annotate("patch", "[]", detailed=True)
        audit.of_object({"metadata": {"uid": "u"}})
        return OK

    one = exchange()
    run(link(), one, end)
    assert (one.event.annotations, one.event.detailed) == ({"a": "1", "b": "2"}, {"patch": "[]"})
    assert one.event.object_ref is not None and one.event.object_ref.uid == "u"
    assert [record.getMessage() for record in caplog.records] == [
        "audit id: annotation a is '1' already, and will not be '3'"
    ]
    audit.annotate("c", "4")
    audit.of_object({})
    assert audit.current.get() is None
