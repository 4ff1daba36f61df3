"""API servers on a real etcd: alone they are as on any store, two are as one, and upstream's data is theirs.

The kind is a server that is not alone with its store, or comes after another one. Not met in the wild: a quota and a name taken on the other
server a moment ago, etcd gone and back, a member that is killed under load.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.protobuf import MAGIC
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.apiserver.services import ranges
from pybernetes.apiserver.services.options import ServiceOptions
from pybernetes.apiserver.storage import ports
from pybernetes.component import flags
from pybernetes.store.backends import Location
from pybernetes.store.etcd.store import open_etcd
from pybernetes.store.types import Store

from ..api import golden
from ..api.golden import Administrator
from ..api.test_services import Client
from ..unit.apiserver.storage.values import VALUES
from . import server
from .server import Member, etcd

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
SERVICES = "/api/v1/namespaces/default/services"
MAPS = "/api/v1/namespaces/default/configmaps"


def values(members: list[Member]) -> flags.Values:
    servers = ",".join(member.url for member in members)
    return flags.parse("kube-apiserver", FLAGS, [f"--etcd-servers={servers}", "--service-node-port-range=30000-30099"])


@asynccontextmanager
async def running(members: list[Member], advertise: str = "192.0.2.10") -> AsyncIterator[tuple[Client, APIServer]]:
    """A server as the command line makes it."""
    chosen = values(members)
    store: Store = await store_options.opened(chosen)
    services = ServiceOptions(
        networks=ranges.parse_networks("10.0.0.0/24"), ports=ranges.parse_ports("30000-30099"), advertise=advertise
    )
    options = Options(
        authentication=AuthenticationOptions([Administrator()]),
        authorization_modes=("RBAC",),
        services=services,
        **store_options.options(chosen),
    )
    one = APIServer(store, options)
    await one.start()
    client = Client(one.port)
    try:
        yield client, one
    finally:
        await client.close()
        await one.stop(0)
        await store.close()


def control(member: Member, *arguments: str) -> str:
    """What etcdctl says."""
    command, environment = ["etcdctl", f"--endpoints={member.url}", *arguments], {**os.environ, "ETCDCTL_API": "3"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


Scenario = Callable[[list[Client], list[Member]], Awaitable[None]]


def play(folder: Path, scenario: Scenario, count: int = 2, members: int = 1, seconds: float = 180) -> None:
    async def run() -> None:
        async with asyncio.timeout(seconds), AsyncExitStack() as stack:
            cluster = await stack.enter_async_context(etcd(folder, members))
            clients = [(await stack.enter_async_context(running(cluster, f"192.0.2.{n + 1}")))[0] for n in range(count)]
            await scenario(clients, cluster)

    asyncio.run(run())


def test_recorded_cases_are_the_same_on_etcd(tmp_path: Path) -> None:
    async def main() -> dict[str, str]:
        async with etcd(tmp_path) as members:
            store = await store_options.opened(values(members))
            async with golden.server(store) as client:
                names = [name for name in golden.cases("kinds", "semantics") if name not in golden.WITH_CONTROLLERS]
                return {name: (await golden.outcome(client, name)).difference for name in names}

    assert {name: difference for name, difference in asyncio.run(main()).items() if difference} == {}


def test_what_one_server_has_acknowledged_the_other_knows(tmp_path: Path) -> None:
    async def scenario(clients: list[Client], members: list[Member]) -> None:
        for n in range(60):
            one, other = clients[n % 2], clients[1 - n % 2]
            path = f"{MAPS}/m{n}"
            assert (await one.send("POST", MAPS, {"metadata": {"name": f"m{n}"}}))[0] == 201
            assert (await other.send("GET", path))[0] == 200
            assert f"m{n}" in await other.names(MAPS)
            assert (await other.send("POST", MAPS, {"metadata": {"name": f"m{n}"}}))[0] == 409
            code, _ = await other.send("PATCH", path, {"data": {"a": "b"}}, "application/merge-patch+json")
            assert code == 200
            assert (await one.send("GET", path))[1]["data"] == {"a": "b"}
            assert (await one.send("DELETE", path))[0] == 200
            assert (await other.send("GET", path))[0] == 404
        namespace = {"metadata": {"name": "fresh"}}
        assert (await clients[0].send("POST", "/api/v1/namespaces", namespace))[0] == 201
        made = await clients[1].send("POST", "/api/v1/namespaces/fresh/configmaps", {"metadata": {"name": "m"}})
        assert made[0] == 201

    play(tmp_path, scenario)


def test_custom_resources_are_served_by_both(tmp_path: Path) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "things", "kind": "Thing"},
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }

    async def scenario(clients: list[Client], members: list[Member]) -> None:
        await clients[0].send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        things = "/apis/example.com/v1/things"
        async with asyncio.timeout(90):
            while not all([(await client.raw("GET", things, None))[0] == 200 for client in clients]):
                await asyncio.sleep(0.02)
        thing = {
            "apiVersion": "example.com/v1",
            "kind": "Thing",
            "metadata": {"name": "t"},
            "aaa": {"z": 1, "b": [1.5]},
        }
        assert (await clients[1].send("POST", things, thing))[0] == 201
        assert (await clients[0].send("GET", f"{things}/t"))[1]["aaa"] == {"z": 1, "b": [1.5]}

    play(tmp_path, scenario)


def test_services_of_both_have_addresses_and_ports_of_their_own(tmp_path: Path) -> None:
    async def scenario(clients: list[Client], members: list[Member]) -> None:
        async def create(n: int) -> Any:
            return (await clients[n % 2].create(f"s{n}", type="NodePort"))[1]["spec"]

        specs = await asyncio.gather(*(create(n) for n in range(60)))
        assert len({spec["clusterIP"] for spec in specs}) == len({spec["ports"][0]["nodePort"] for spec in specs}) == 60
        assert len(await clients[0].addresses()) == 61  # and that of the Service kubernetes
        for n in range(0, 60, 3):
            assert (await clients[n % 2].send("DELETE", f"{SERVICES}/s{n}"))[0] == 200
        store = await open_etcd(Location((members[0].url,)))
        [allocation] = (await store.list("/registry/ranges/servicenodeports")).items
        await store.close()
        taken = {spec["ports"][0]["nodePort"] for n, spec in enumerate(specs) if n % 3}
        assert ports.read(allocation.value) == ("30000-30099", taken)
        _, endpoints = await clients[0].send("GET", "/api/v1/namespaces/default/endpoints/kubernetes")
        assert {address["ip"] for address in endpoints["subsets"][0]["addresses"]} == {"192.0.2.1", "192.0.2.2"}

    play(tmp_path, scenario)


def test_a_server_that_starts_again_frees_nothing_that_is_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(clients: list[Client], members: list[Member]) -> None:
        await clients[0].create("s", type="NodePort")
        async with running(members, "192.0.2.9") as (client, again):
            await again._services.repair()
            assert len(await client.addresses()) == 2

    with caplog.at_level(logging.INFO):
        play(tmp_path, scenario, count=1)
    assert "it is free again" not in caplog.text


def test_what_upstream_has_left_is_served_and_kept_in_its_form(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path) as members:
            store = await open_etcd(Location((members[0].url,)))
            for key, value in VALUES.items():
                await store.put(key, value)
            async with running(members) as (client, _):
                _, pods = await client.send("GET", "/api/v1/pods")
                assert {pod["metadata"]["name"] for pod in pods["items"]} == {
                    key.rsplit("/", 1)[1] for key in VALUES if key.startswith("/registry/pods/")
                }
                for path, spec in (
                    ("/api/v1/nodes/m1", {"unschedulable": True}),
                    ("/apis/apps/v1/namespaces/shop/statefulsets/db", {"replicas": 3}),
                    ("/apis/example.com/v1/namespaces/shop/things/t", {"a": 2}),
                    ("/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web", {"minAvailable": 1}),
                ):
                    code, answer = await client.send("PATCH", path, {"spec": spec}, "application/merge-patch+json")
                    assert code == 200, answer
            stored = {item.key: item.value for item in (await store.list("/registry/")).items}
            assert set(VALUES) <= set(stored)
            for key in ("/registry/minions/m1", "/registry/statefulsets/shop/db"):
                assert stored[key].startswith(MAGIC) and stored[key] != VALUES[key]
            assert stored["/registry/poddisruptionbudgets/shop/web"].startswith(MAGIC + b"\n\x20\n\x09policy/v1")
            assert stored["/registry/example.com/things/shop/t"].startswith(b'{"apiVersion":"example.com/v1"')
            assert stored["/registry/example.com/things/shop/t"].endswith(b"}\n")
            await store.close()

    asyncio.run(asyncio.wait_for(main(), 180))


def test_etcd_goes_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(clients: list[Client], members: list[Member]) -> None:
        [client] = clients
        assert (await client.text("/readyz/etcd")) == "ok"
        await members[0].stop()
        code, answer = await client.send("POST", MAPS, {"metadata": {"name": "m"}})
        assert code == 500 and "connect" in answer["message"]
        while "check etcd failed" not in await client.text("/readyz/etcd"):
            await asyncio.sleep(0.2)
        code, _ = await client.send("GET", "/api/v1/namespaces?resourceVersion=0")
        assert code == 200
        await members[0].start()
        while await client.text("/readyz/etcd") != "ok":
            await asyncio.sleep(0.2)
        assert (await client.send("POST", MAPS, {"metadata": {"name": "m"}}))[0] == 201

    monkeypatch.setattr("pybernetes.store.etcd.store.CALL_SECONDS", 2.0)
    with caplog.at_level(logging.ERROR):
        play(tmp_path, scenario, count=1)
    assert caplog.records
    assert not [record for record in caplog.records if record.exc_info], "no tracebacks"


def test_an_etcd_that_has_lost_its_data_gets_what_every_cluster_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(clients: list[Client], members: list[Member]) -> None:
        [client] = clients
        roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        there = await client.names("/api/v1/namespaces"), await client.names(roles)
        await client.send("POST", MAPS, {"metadata": {"name": "lost"}})
        await members[0].stop()
        shutil.rmtree(tmp_path / "m0")
        await members[0].start()
        while "has the state of another time now" not in caplog.text:
            await asyncio.sleep(0.1)
        while (await client.names("/api/v1/namespaces"), await client.names(roles)) != there:
            await asyncio.sleep(0.1)
        assert "lost" not in await client.names(MAPS)
        assert (await client.send("POST", MAPS, {"metadata": {"name": "new"}}))[0] == 201

    with caplog.at_level(logging.ERROR):
        play(tmp_path, scenario, count=1)


@pytest.mark.parametrize("further", [False, True], ids=["and is behind", "and has gone on since"])
def test_an_etcd_that_was_restored_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, further: bool) -> None:
    """What a server knows is no more, and nothing that etcd tells would say so: it is listed anew, and clients have to."""

    async def scenario(clients: list[Client], members: list[Member]) -> None:
        [client] = clients
        for name in ("kept", "lost"):
            assert (await client.send("POST", MAPS, {"metadata": {"name": name}}))[0] == 201
            if name == "kept":
                control(members[0], "snapshot", "save", f"{tmp_path}/snapshot")
        _, known = await client.send("GET", MAPS)
        old = known["metadata"]["resourceVersion"]
        watching = asyncio.create_task(client.text(f"{MAPS}?watch=1&resourceVersion={old}&timeoutSeconds=100"))
        await members[0].stop()
        shutil.rmtree(tmp_path / "m0")
        [member] = members
        control(
            member, "snapshot", "restore", f"{tmp_path}/snapshot", f"--data-dir={tmp_path}/m0", "--name=m0",
            f"--initial-cluster={member.cluster}", f"--initial-advertise-peer-urls={member.peers}",
        )  # fmt: skip
        if further:  # before this server sees it again
            elsewhere = Member(tmp_path, "m0", server.free_ports(1)[0], member.peer, member.cluster, ())
            await elsewhere.start()
            for n in range(20):
                control(elsewhere, "put", f"/registry/other/{n}", "x")
            await elsewhere.stop()
        await member.start()
        while "has the state of another time now" not in caplog.text:
            await asyncio.sleep(0.1)
        assert await client.names(MAPS) == {"kept"}
        assert await client.text("/readyz/etcd") == "ok"
        assert await watching == ""
        assert (await client.send("POST", MAPS, {"metadata": {"name": "new"}}))[0] == 201

    with caplog.at_level(logging.ERROR):
        play(tmp_path, scenario, count=1)
    assert not [record for record in caplog.records if record.exc_info], "no tracebacks"
