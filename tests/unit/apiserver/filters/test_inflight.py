"""What is done around every request."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.endpoints.metrics import APIServerMetrics
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters import inflight as filters_module
from pybernetes.apiserver.filters.inflight import Asked, Filters, Limits
from pybernetes.wire.http import Request, Response, StreamingResponse

PODS = "/api/v1/namespaces/default/pods"
SERVED = {("", "v1", "pods")}
Handle = Callable[[Request, Asked], Awaitable[Answer]]


def made(limits: Limits | None = None) -> tuple[Filters, APIServerMetrics]:
    metrics = APIServerMetrics(lambda: {("", "pods"): 3, ("apps", "deployments"): 1}, lambda: {("", "pods"): 2})
    return Filters(metrics, limits or Limits(), SERVED), metrics


def request(method: str, path: str, query: str = "", **headers: str) -> Request:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(method, path.encode(), query.encode(), given)


async def ok(request: Request, what: Asked) -> Answer:
    return Response(200, [], b"ok")


async def never(request: Request, what: Asked) -> Answer:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


async def run(filters: Filters, asked: Request, handle: Handle = ok) -> Answer:
    return await filters.run(asked, filters.asked(asked), handle)


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
    filters, metrics = made()
    asyncio.run(run(filters, asked))
    text = metrics.registry.text()
    assert f'apiserver_request_total{{{labels},component="apiserver",dry_run="",code="200"}} 1' in text
    assert f'apiserver_request_duration_seconds_count{{{labels},component="apiserver",dry_run=""}} 1' in text


def test_made_up_resources_make_no_samples() -> None:
    filters, metrics = made()

    async def missing(request: Request, what: Asked) -> Answer:
        return Response(404)

    for path in ("/api/v1/made-up", "/apis/a/b/c", f"{PODS}/a/made-up"):
        asyncio.run(run(filters, request("GET", path), missing))
    text = metrics.registry.text()
    assert "made-up" not in text
    assert text.count('apiserver_request_total{verb=""') == 1


def test_long_requests_are_not_remembered() -> None:
    filters, _ = made()
    before = filters_module.asked.cache_info().currsize
    what = filters.asked(request("GET", PODS, "labelSelector=" + "a" * 5000))
    assert what.info.label_selector == "a" * 5000
    assert filters_module.asked.cache_info().currsize == before


def test_stored_and_watched() -> None:
    text = made()[1].registry.text()
    assert 'apiserver_resource_objects{group="apps",resource="deployments"} 1' in text
    assert 'apiserver_storage_objects{resource="deployments.apps"} 1' in text
    assert 'apiserver_registered_watchers{group="",resource="pods"} 2' in text
    assert "process_resident_memory_bytes" in text


def test_in_flight_requests_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters_module, "WAITING", 2)

    async def main() -> None:
        filters, metrics = made(Limits(mutating=1))
        first = asyncio.ensure_future(run(filters, request("POST", PODS), never))
        await asyncio.sleep(0)
        assert 'apiserver_current_inflight_requests{request_kind="mutating"} 1' in metrics.registry.text()
        delete = request("DELETE", f"{PODS}/a")
        left, waiting = (asyncio.ensure_future(run(filters, delete)) for _ in range(2))
        await asyncio.sleep(0)
        refused = await run(filters, delete)
        assert refused.status == 429
        assert ("Retry-After", "1") in refused.headers
        assert (await run(filters, request("GET", PODS))).status == 200
        assert not waiting.done()
        left.cancel()
        first.cancel()
        assert (await waiting).status == 200
        await asyncio.gather(first, left, return_exceptions=True)
        assert (await run(filters, delete)).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        (request("POST", PODS), Limits(seconds=0.01)),
        (request("POST", PODS, "timeout=10ms"), Limits()),
        (request("GET", PODS, "timeout=10ms"), Limits(seconds=0)),
    ],
)
def test_timed_out(asked: Request, limits: Limits) -> None:
    with pytest.raises(StatusError) as error:
        asyncio.run(run(made(limits)[0], asked, never))
    assert error.value.code == 504
    assert str(error.value) == "Timeout: request did not complete within the allotted timeout"


def test_bad_timeout() -> None:
    with pytest.raises(StatusError, match="invalid timeout specified in the request URL"):
        asyncio.run(run(made()[0], request("GET", PODS, "timeout=x")))


@pytest.mark.parametrize(
    ("accepts", "size", "compressed"),
    [("gzip, deflate", 200_000, True), ("gzip", 1000, False), ("br", 200_000, False)],
)
def test_large_answers_are_compressed_where_that_is_wanted(accepts: str, size: int, compressed: bool) -> None:
    async def large(request: Request, what: Asked) -> Answer:
        return Response(200, [("Content-Type", "application/json")], b"x" * size)

    answered = asyncio.run(run(made()[0], request("GET", PODS, accept_encoding=accepts), large))
    assert isinstance(answered, Response)
    assert (("Content-Encoding", "gzip") in answered.headers) is compressed
    assert (gzip.decompress(answered.body) if compressed else answered.body) == b"x" * size


def test_watches_are_counted_while_they_last() -> None:
    async def main() -> None:
        filters, metrics = made()

        async def watch(request: Request, what: Asked) -> Answer:
            async def produce(writer: object) -> None:
                assert 'apiserver_longrunning_requests{verb="WATCH"' in metrics.registry.text()

            return StreamingResponse(produce)

        answered = await run(filters, request("GET", PODS, "watch=1"), watch)
        assert isinstance(answered, StreamingResponse)
        assert "apiserver_request_total" not in metrics.registry.text()
        await answered.producer(None)  # type: ignore[arg-type]  # the producer above writes nothing
        text = metrics.registry.text()
        labels = (
            'verb="WATCH",group="",version="v1",resource="pods",subresource="",scope="namespace",component="apiserver"'
        )
        assert f"apiserver_longrunning_requests{{{labels}}} 0" in text
        assert f'apiserver_request_total{{{labels},dry_run="",code="200"}} 1' in text

    asyncio.run(main())
