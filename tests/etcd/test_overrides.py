"""Resources in other etcd clusters (--etcd-servers-overrides): each cluster has revisions, freshness, health and an end of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.component import flags
from pybernetes.store.backends import Location
from pybernetes.store.etcd.store import open_etcd

from ..api.golden import Administrator
from ..api.test_services import Client
from . import server
from .server import Member, etcd
from .test_copy import EVENT, MAPS

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
EVENTS = "/api/v1/namespaces/default/events"


@asynccontextmanager
async def running(main: Member, other: Member) -> AsyncIterator[Client]:
    overrides = f"/events#{other.url},/configmaps#{other.url}"
    chosen = flags.parse(
        "kube-apiserver", FLAGS, [f"--etcd-servers={main.url}", f"--etcd-servers-overrides={overrides}"]
    )
    store, elsewhere = await store_options.opened(chosen), await store_options.opened_overrides(chosen)
    assert len({id(one) for one in elsewhere.values()}) == 1, "one connection for the same servers"
    authentication = AuthenticationOptions([Administrator()])
    one = APIServer(store, Options(authentication=authentication, elsewhere=elsewhere, **store_options.options(chosen)))
    await one.start()
    client = Client(one.port)
    try:
        yield client
    finally:
        await client.close()
        await one.stop(0)
        for opened in {id(opened): opened for opened in (store, *elsewhere.values())}.values():
            await opened.close()


async def keys(member: Member, prefix: str) -> list[str]:
    store = await open_etcd(Location((member.url,)))
    try:
        return [item.key for item in (await store.list(prefix)).items]
    finally:
        await store.close()


def test_resources_lie_in_their_own_cluster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    async def main() -> None:
        async with (
            etcd(tmp_path / "a") as [first],
            etcd(tmp_path / "b") as [second],
            running(first, second) as client,
            running(first, second) as other,
        ):
            code, event = await client.send("POST", EVENTS, EVENT)
            assert code == 201, event
            assert int(event["metadata"]["resourceVersion"]) < 30  # hardly anything is written there
            assert await keys(second, "/registry/events/default/") == ["/registry/events/default/e"]
            assert await keys(first, "/registry/events/default/") == []
            assert await keys(first, "/registry/namespaces/") != []
            assert await keys(second, "/registry/namespaces/") == []
            for n in range(20):  # what one has acknowledged the other knows
                one, two = (client, other) if n % 2 else (other, client)
                assert (await one.send("POST", MAPS, {"metadata": {"name": f"m{n}"}}))[0] == 201
                assert (await two.send("GET", f"{MAPS}/m{n}"))[0] == 200
                assert (await two.send("POST", MAPS, {"metadata": {"name": f"m{n}"}}))[0] == 409
                fresh = {"metadata": {"name": f"n{n}"}}
                assert (await one.send("POST", "/api/v1/namespaces", fresh))[0] == 201
                path = f"/api/v1/namespaces/n{n}/configmaps"
                assert (await two.send("POST", path, {"metadata": {"name": "m"}}))[0] == 201
            newer = (await other.send("GET", "/apis/events.k8s.io/v1/namespaces/default/events"))[1]["items"]
            assert [one["metadata"]["name"] for one in newer] == ["e"]
            listed = (await other.send("GET", MAPS))[1]
            revision = listed["metadata"]["resourceVersion"]
            await client.send("DELETE", f"{MAPS}/m0")
            watched = await other.text(f"{MAPS}?watch=1&resourceVersion={revision}&timeoutSeconds=1")
            assert watched.count("\n") == 1 and '"type":"DELETED"' in watched
            assert (await client.text("/readyz/etcd-override-0")) == "ok"
            assert (await client.text("/readyz/etcd-override-readiness-0")) == "ok"
            assert (await client.send("GET", "/readyz/etcd-override-1"))[0] == 404
            await second.stop()
            while "check etcd-override-0 failed" not in await client.text("/readyz/etcd-override-0"):
                await asyncio.sleep(0.1)
            assert (await client.text("/readyz/etcd")) == "ok"
            assert (await client.send("GET", "/api/v1/namespaces"))[0] == 200
            assert (await client.send("POST", "/api/v1/namespaces", {"metadata": {"name": "z"}}))[0] == 201
            await second.start()
            while await client.text("/readyz/etcd-override-0") != "ok":
                await asyncio.sleep(0.1)
            assert (await client.send("POST", MAPS, {"metadata": {"name": "again"}}))[0] == 201

    with caplog.at_level(logging.ERROR):
        asyncio.run(asyncio.wait_for(main(), 120))
    assert not [record for record in caplog.records if record.exc_info], "no tracebacks"
