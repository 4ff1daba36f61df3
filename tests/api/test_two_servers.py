"""Two API servers over one store: what one writes holds for both."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.generic.options import WriteOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.apiserver.services.keeper import LEASES, ServiceKeeper
from pybernetes.apiserver.services.options import ServiceOptions
from pybernetes.apiserver.types import RequestInfo
from pybernetes.store.sqlite import SQLiteStore

JANE = User("jane", ("system:authenticated",))


async def created(server: APIServer, version: str, resource: str, obj: dict[str, Any], namespace: str = "") -> str:
    """Empty, or why not."""
    group, _, number = version.rpartition("/")
    store = server.store(group, number, resource)
    plain, _ = store.schema.normalize(obj)
    try:
        await store.create(plain, namespace, WriteOptions(JANE))
    except StatusError as error:
        return str(error)
    return ""


async def servers() -> tuple[SQLiteStore, list[APIServer]]:
    store = await SQLiteStore.open(":memory:")
    both = [APIServer(store, Options(authorization_modes=("RBAC",), port=0)) for _ in range(2)]
    for server in both:
        await server.start()
    return store, both


async def stop(store: SQLiteStore, both: list[APIServer]) -> None:
    for server in both:
        await server.stop(0)
    await store.close()


def test_a_quota_is_one_for_both() -> None:
    async def main() -> tuple[list[str], dict[str, str]]:
        store, both = await servers()
        quotas = both[0].store("", "v1", "resourcequotas")
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "10"}}}
        made = await quotas.create(quota, "default", WriteOptions())
        made["status"] = {"hard": {"pods": "10"}, "used": {"pods": "0"}}
        await quotas.update("default", "q", made, WriteOptions(), "status")

        def pod(number: int) -> dict[str, Any]:
            return {"metadata": {"name": f"p{number}"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

        results = await asyncio.gather(*(created(both[n % 2], "v1", "pods", pod(n), "default") for n in range(40)))
        used = await both[1].reader.fresh("", "resourcequotas", "default", "q")
        await stop(store, both)
        assert used is not None
        return results, used["status"]["used"]

    results, used = asyncio.run(main())
    assert (results.count(""), used) == (10, {"pods": "10"})
    assert all("exceeded quota: q" in why for why in results if why)


def test_rights_are_the_same_on_both() -> None:
    async def main() -> list[bool]:
        store, both = await servers()
        question = RequestInfo("get", "", is_resource=True, resource="pods", namespace="default", version="v1")

        async def may() -> bool:
            return (await both[1].authorizers.authorize(JANE, question)).allowed

        seen = [await may()]
        subject = {"kind": "User", "name": "jane"}
        binding = {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [subject],
        }
        bindings = both[0].store("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
        await bindings.create(binding, "", WriteOptions())
        await both[1].reader.fresh("rbac.authorization.k8s.io", "clusterrolebindings", "", "b")
        seen.append(await may())
        await stop(store, both)
        return seen

    assert asyncio.run(main()) == [False, True]


def test_both_may_start_at_the_same_moment() -> None:
    async def main() -> tuple[dict[str, Any], list[str]]:
        store = await SQLiteStore.open(":memory:")
        several = [APIServer(store, Options(authorization_modes=("RBAC",), port=0)) for _ in range(3)]
        await asyncio.gather(*(server.start() for server in several))
        service = await several[0].reader.fresh("", "services", "default", "kubernetes")
        await several[1].reader.fresh("networking.k8s.io", "ipaddresses", "", "")  # what the others wrote
        addresses = [obj["metadata"]["name"] for obj in several[1].reader.list("networking.k8s.io", "ipaddresses")]
        await stop(store, several)
        assert service is not None
        return service["spec"], addresses

    for _ in range(3):
        spec, addresses = asyncio.run(main())
        assert [spec["clusterIP"]] == addresses


def test_a_lease_that_ends_as_a_server_starts_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look at the leases and the wait for news of them; without a later round that would notice it."""
    monkeypatch.setattr("pybernetes.apiserver.services.keeper.RENEW_SECONDS", 3600.0)
    renew = ServiceKeeper._renew

    async def main() -> None:
        store = await SQLiteStore.open(":memory:")
        lease = f"{Keys().resource(*LEASES)}192.0.2.9"
        soon = format_time(datetime.now(UTC))
        await store.put(lease, msgspec.json.encode({"metadata": {"name": "192.0.2.9", "renewTime": soon}}))

        async def renewed(keeper: ServiceKeeper) -> None:
            await renew(keeper)
            event = await store.delete(lease)
            assert event is not None
            await keeper._cache.wait(event.revision)

        monkeypatch.setattr(ServiceKeeper, "_renew", renewed)
        server = APIServer(store, Options(port=0, services=ServiceOptions(advertise="192.0.2.1")))
        await server.start()

        def addresses() -> list[str]:
            [endpoints] = server.reader.list("", "endpoints", "default")
            return [one["ip"] for subset in endpoints["subsets"] for one in subset["addresses"]]

        async with asyncio.timeout(10):
            while addresses() != ["192.0.2.1"]:
                await asyncio.sleep(0.01)
        await stop(store, [server])

    asyncio.run(main())


def test_an_unconditional_put_wins_over_others() -> None:
    async def main() -> list[int]:
        store, both = await servers()
        maps = [server.store("", "v1", "configmaps") for server in both]
        await maps[0].create({"metadata": {"name": "m"}}, "default", WriteOptions())

        async def put(number: int) -> int:
            obj = {"metadata": {"name": "m"}, "data": {"n": str(number)}}
            made, _ = await maps[number % 2].update("default", "m", obj, WriteOptions())
            return int(made["metadata"]["resourceVersion"])

        revisions = await asyncio.gather(*(put(number) for number in range(4)))
        await stop(store, both)
        return revisions

    assert len(set(asyncio.run(main()))) == 4
