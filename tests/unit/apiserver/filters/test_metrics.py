"""What is counted of requests."""

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.endpoints.metrics import APIServerMetrics
from pybernetes.apiserver.filters.metrics import Metrics
from pybernetes.wire.http import Request, Response, StreamingResponse, Upgraded, UpgradeResponse

from .links import OK, PODS, Next, exchange, metrics, request, run

SERVED = {("", "v1", "pods")}
WATCH = 'verb="WATCH",group="",version="v1",resource="pods",subresource="",scope="namespace",component="apiserver"'


def link() -> tuple[Metrics, APIServerMetrics]:
    counted = metrics()
    return Metrics(counted, SERVED, VirtualClock(start=2.0)), counted


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        (
            request("GET", f"{PODS}/a"),
            'verb="GET",group="",version="v1",resource="pods",subresource="",scope="resource"',
        ),
        (request("GET", PODS), 'verb="LIST",group="",version="v1",resource="pods",subresource="",scope="namespace"'),
        (
            request("GET", "/api/v1/pods"),
            'verb="LIST",group="",version="v1",resource="pods",subresource="",scope="cluster"',
        ),
        (
            request("PATCH", f"{PODS}/a/status", content_type="application/apply-patch+yaml"),
            'verb="APPLY",group="",version="v1",resource="pods",subresource="status",scope="resource"',
        ),
        (request("GET", "/version"), 'verb="GET",group="",version="",resource="",subresource="/version",scope=""'),
        (request("GET", "/made-up"), 'verb="GET",group="",version="",resource="",subresource="",scope=""'),
    ],
)
def test_counted(asked: Request, labels: str) -> None:
    counting, counted = link()
    assert run(counting, exchange(asked, started=0.5), Next()) is OK
    text = counted.registry.text()
    assert f'apiserver_request_total{{{labels},component="apiserver",dry_run="",code="200"}} 1' in text
    assert f'apiserver_request_duration_seconds_sum{{{labels},component="apiserver",dry_run=""}} 1.5' in text


def test_failures_are_counted_by_what_the_client_is_told() -> None:
    counting, counted = link()
    for failure in (errors.forbidden("", "pods", "a", "no"), KeyError("x")):
        with pytest.raises(type(failure)):
            run(counting, exchange(), Next(failure))
    text = counted.registry.text()
    assert 'dry_run="",code="403"} 1' in text
    assert 'dry_run="",code="500"} 1' in text


def test_made_up_resources_make_no_samples() -> None:
    counting, counted = link()
    for path in ("/api/v1/made-up", "/apis/a/b/c", f"{PODS}/a/made-up"):
        run(counting, exchange(request("GET", path)), Next(Response(404)))
    with pytest.raises(StatusError):
        run(counting, exchange(request("GET", "/api/v1/made-up")), Next(errors.generic(404, "", "", "", "", "no")))
    text = counted.registry.text()
    assert "made-up" not in text
    assert 'apiserver_request_total{verb="",group="",version="",resource="",subresource="",scope=""' in text
    assert 'dry_run="",code="404"} 4' in text


def test_stored_and_watched() -> None:
    text = metrics().registry.text()
    assert 'apiserver_resource_objects{group="apps",resource="deployments"} 1' in text
    assert 'apiserver_storage_objects{resource="deployments.apps"} 1' in text
    assert 'apiserver_registered_watchers{group="",resource="pods"} 2' in text
    assert "process_resident_memory_bytes" in text


def test_watches_are_counted_while_they_last() -> None:
    counting, counted = link()

    async def produce(writer: object) -> None:
        assert f"apiserver_longrunning_requests{{{WATCH}}} 1" in counted.registry.text()

    answered = run(counting, exchange(request("GET", PODS, "watch=1")), Next(StreamingResponse(produce)))
    assert isinstance(answered, StreamingResponse)
    assert "apiserver_request_total" not in counted.registry.text()
    asyncio.run(answered.producer(None))  # type: ignore[arg-type]  # the producer above writes nothing
    text = counted.registry.text()
    assert f"apiserver_longrunning_requests{{{WATCH}}} 0" in text
    assert f'apiserver_request_total{{{WATCH},dry_run="",code="200"}} 1' in text


def test_streams_that_nobody_takes_are_counted_too() -> None:
    counting, counted = link()
    told: list[str] = []

    async def ran(stream: Upgraded) -> None:
        raise AssertionError("nobody takes it")

    upgrade = UpgradeResponse("x", ran, abandoned=lambda: told.append("abandoned"))
    answered = run(counting, exchange(request("GET", f"{PODS}/a/exec")), Next(upgrade))
    assert isinstance(answered, UpgradeResponse)
    assert answered.abandoned is not None
    answered.abandoned()
    assert told == ["abandoned"]
    assert 'code="101"} 1' in counted.registry.text()
