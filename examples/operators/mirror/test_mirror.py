"""An operator in a task, with its own rights; its pauses are the test's, and failures come by rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest

pytest.importorskip("kubernetes_asyncio", reason="kubernetes_asyncio is not installed")

from kubernetes_asyncio import client
from mirror import LABEL, SOURCE, look, plan, run

from pybernetes.testing import AsyncKube

RIGHTS = [
    {"resources": ["configmaps"], "verbs": ["list", "create", "patch", "delete"]},
    {"resources": ["namespaces"], "verbs": ["list"]},
]
NAMESPACES = ("a", "b")


def config_map(name: str, color: str = "blue", label: str = "everywhere") -> dict[str, Any]:
    metadata = {"name": name, "labels": {LABEL: label}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"color": color}}


def awaited(test: Callable[[AsyncKube], Awaitable[None]]) -> Callable[[AsyncKube], None]:
    """The test on a loop of its own; pytest-asyncio and anyio do the same."""

    @wraps(test)
    def run_test(akube: AsyncKube) -> None:
        asyncio.run(test(akube))  # type: ignore[arg-type]  # it is a coroutine

    return run_test


@asynccontextmanager
async def operators_api(kube: AsyncKube) -> AsyncIterator[client.CoreV1Api]:
    """With the operator's own rights."""
    for name in NAMESPACES:
        await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    async with (await kube.user("mirror", rules=RIGHTS)).async_client("kubernetes_asyncio") as api_client:
        yield client.CoreV1Api(api_client)


@awaited
async def test_copies_follow_their_source(akube: AsyncKube) -> None:
    async with operators_api(akube) as api:
        await akube.apply(config_map("theme"))
        await look(api)
        there = await akube.in_namespace("a")
        assert (await there.get("cm", "theme"))["data"] == {"color": "blue"}
        await akube.apply(config_map("theme", "red"))
        await look(api)
        assert (await there.get("cm", "theme"))["data"] == {"color": "red"}
        await akube.delete("cm", "theme")
        gone = await look(api)
        assert set(gone.delete) >= {("a", "theme"), ("b", "theme")}
        await there.wait_for("cm", "theme", "deleted")
        assert (await look(api)) == (await look(api))


@awaited
async def test_what_is_no_copy_is_let_be(akube: AsyncKube) -> None:
    async with operators_api(akube) as api:
        there = await akube.in_namespace("a")
        await there.apply(config_map("theme", "own", label="no"))
        await akube.apply(config_map("theme"))
        await look(api)
        assert (await there.get("cm", "theme"))["data"] == {"color": "own"}


@awaited
async def test_an_answer_that_is_lost(akube: AsyncKube) -> None:
    """The copy is there, and the next look finds nothing to do for it."""
    async with operators_api(akube) as api:
        await akube.apply(config_map("theme"))
        akube.faults.add(verb="create", namespace="a", error="Timeout", after=True, times=1)
        with pytest.raises(client.ApiException, match="injected by the test"):
            await look(api)
        assert ("a", "theme") not in (await look(api)).write


@awaited
async def test_a_server_that_is_busy_and_a_connection_that_is_cut(akube: AsyncKube) -> None:
    """The operator lives on, and looks again after its pause, which takes no time here."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with operators_api(akube) as api:
        busy = akube.faults.add(verb="list", user="mirror", error="TooManyRequests", retry_after=0, times=2)
        cut = akube.faults.add(verb="create", user="mirror", drop=True, times=1)
        operator = asyncio.create_task(run(api, sleep, 30))
        await akube.apply(config_map("theme"))
        await (await akube.in_namespace("b")).wait_for("cm", "theme", "created")
        operator.cancel()
        await asyncio.gather(operator, return_exceptions=True)
    assert (busy.hits, cut.hits) == (2, 1) and set(pauses) == {30}


@awaited
async def test_rights_that_are_missing_end_it(akube: AsyncKube) -> None:
    stranger = await akube.user("stranger")
    async with stranger.async_client("kubernetes_asyncio") as api_client:
        with pytest.raises(client.ApiException, match="forbidden"):
            await run(client.CoreV1Api(api_client), asyncio.sleep)


def of(namespace: str, name: str, **metadata: Any) -> client.V1ConfigMap:
    own = client.V1ObjectMeta(namespace=namespace, name=name, **metadata)
    return client.V1ConfigMap(metadata=own, data={"x": "1"})


def test_a_plan() -> None:
    source, copy = of("s", "m", labels={LABEL: "everywhere"}), of("a", "m", annotations={SOURCE: "s/m"})
    orphan = of("b", "o", annotations={SOURCE: "s/o"})
    due = plan([source, copy, orphan], ["s", "a", "b"])
    assert (list(due.write), due.delete) == ([("b", "m")], {("b", "o")})
