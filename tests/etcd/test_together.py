"""Several API servers on one etcd agree: who makes what a cluster begins with, who is alive, what a quota leaves.

Not met in the wild: servers that all start in the same moment on an empty etcd, one that dies without a word.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pybernetes.api import protobufencode
from pybernetes.apiserver.options.store import MASTER_LEASE_SECONDS
from pybernetes.store.backends import Location
from pybernetes.store.etcd.store import open_etcd

from ..api.test_services import Client
from . import server
from .server import Member, etcd
from .test_servers import MAPS, play, running

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"


async def addresses(client: Client) -> set[str]:
    subsets = (await client.send("GET", ENDPOINTS))[1].get("subsets") or []
    return {address["ip"] for subset in subsets for address in subset["addresses"]}


def test_all_begin_in_the_same_moment(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with etcd(tmp_path) as members, AsyncExitStack() as stack:
            servers = [running(members, f"192.0.2.{n}") for n in range(1, 5)]
            clients = [client for client, _ in await asyncio.gather(*(one.__aenter__() for one in servers))]
            for one in servers:
                stack.push_async_exit(one)
            services = [await client.names("/api/v1/services") for client in clients]
            assert services == [{"kubernetes"}] * 4
            roles = [await client.names("/apis/rbac.authorization.k8s.io/v1/clusterroles") for client in clients]
            assert roles == [roles[0]] * 4 and "cluster-admin" in roles[0]
            cidrs = await clients[0].names("/apis/networking.k8s.io/v1/ipaddresses")
            assert cidrs == {"10.0.0.1"}
            while await addresses(clients[3]) != {f"192.0.2.{n}" for n in range(1, 5)}:
                await asyncio.sleep(0.05)

    with caplog.at_level(logging.ERROR):
        asyncio.run(asyncio.wait_for(main(), 120))
    assert caplog.text == ""


def test_a_server_that_died_without_a_word_leaves_with_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with a later round of the others, of which there is none here; so the other's own lease ends as well, some seconds later."""
    assert MASTER_LEASE_SECONDS == 15
    monkeypatch.setattr("pybernetes.apiserver.services.keeper.RENEW_SECONDS", 3600.0)
    dead = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {}, "subsets": [{"addresses": [{"ip": "192.0.2.9"}]}]}

    async def main() -> None:
        async with etcd(tmp_path) as members:
            store = await open_etcd(Location((members[0].url,)))
            await store.put(
                "/registry/masterleases/192.0.2.9", protobufencode.encode(dead), ttl=MASTER_LEASE_SECONDS // 2
            )
            async with running(members, "192.0.2.1") as (client, _):
                assert await addresses(client) == {"192.0.2.1", "192.0.2.9"}
                end = asyncio.get_running_loop().time() + 45
                while "192.0.2.9" in await addresses(client):
                    leases = [item.key for item in (await store.list("/registry/masterleases/")).items]
                    assert asyncio.get_running_loop().time() < end, f"leases in etcd: {leases}"
                    await asyncio.sleep(0.05)
                assert "192.0.2.9" not in str((await client.send("GET", SLICE))[1]["endpoints"])
            await store.close()

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_quota_holds_across_servers(tmp_path: Path) -> None:
    async def scenario(clients: list[Client], members: list[Member]) -> None:
        spec = {"hard": {"configmaps": "7"}}
        quotas = "/api/v1/namespaces/default/resourcequotas"
        code, quota = await clients[0].send("POST", quotas, {"metadata": {"name": "q"}, "spec": spec})
        assert code == 201, quota
        quota["status"] = {"hard": {"configmaps": "7"}, "used": {"configmaps": "0"}}
        assert (await clients[0].send("PUT", f"{quotas}/q/status", quota))[0] == 200
        made = await asyncio.gather(
            *(clients[n % 3].send("POST", MAPS, {"metadata": {"name": f"m{n}"}}) for n in range(40))
        )
        codes = sorted(code for code, _ in made)
        assert codes.count(201) == 7, codes
        assert {code for code in codes} <= {201, 403, 409}
        assert (await clients[2].send("GET", f"{quotas}/q"))[1]["status"]["used"] == {"configmaps": "7"}

    play(tmp_path, scenario, count=3)
