import asyncio
from collections.abc import Callable

import pytest

from pybernetes.client.http import Answer, HTTPClient
from pybernetes.component import serving
from pybernetes.component.delegated import Ask, UserInfo
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request, Response


class FakeGuard:
    """Lets everybody with a token read metrics, and nothing else."""

    async def authenticate(self, request: Request) -> UserInfo | None:
        token = request.header("authorization")
        if token == "Bearer broken":
            raise ConnectionError("no answer")
        return UserInfo("prometheus") if token else None

    async def authorize(self, user: UserInfo, ask: Ask) -> str | None:
        return None if ask == Ask("get", "/metrics") else "no"


def get(path: str, token: str = "", guard: FakeGuard | None = None, check: Callable[[], str] = lambda: "") -> Answer:
    async def main() -> Answer:
        registry = Registry()
        registry.counter("a_total", "A.").inc()
        server = await serving.start(serving.standard(registry, {"etcd": check}), "127.0.0.1", 0, guard=guard)
        client = HTTPClient(f"http://127.0.0.1:{server.port}")
        try:
            return await client.request("GET", path, [("Authorization", f"Bearer {token}")] if token else [])
        finally:
            await client.close()
            await server.stop(0)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/healthz", 200, "ok"),
        ("/livez/ping", 200, "ok"),
        ("/readyz?verbose", 200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n"),
        ("/readyz/unknown", 404, "404 page not found\n"),
        ("/nothing", 404, "404 page not found\n"),
    ],
)
def test_health(path: str, status: int, body: str) -> None:
    answer = get(path)
    assert (answer.status, answer.body.decode()) == (status, body)


def test_a_check_that_fails_is_named_without_its_reason() -> None:
    answer = get("/healthz", check=lambda: "disk full")
    assert answer.status == 500
    assert answer.body.decode() == "[+]ping ok\n[-]etcd failed: reason withheld\nhealthz check failed\n"


def test_metrics_have_their_content_type() -> None:
    answer = get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"a_total 1\n" in answer.body


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/healthz", "", 200),
        ("/metrics", "", 401),
        ("/metrics", "t", 200),
        ("/other", "t", 403),
        ("/metrics", "broken", 500),
    ],
)
def test_the_guard_is_asked_for_all_but_health(path: str, token: str, status: int) -> None:
    assert get(path, token, FakeGuard()).status == status


def test_the_longest_prefix_wins() -> None:
    async def first(request: Request) -> Response:
        return Response()

    async def second(request: Request) -> Response:
        return Response()

    routes = {"/a/": first, "/a/b/": second, "/a": second}
    assert serving.find(routes, "/a/b/c") is second
    assert serving.find(routes, "/a/c") is first
    assert serving.find(routes, "/b") is None
