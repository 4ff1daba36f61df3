"""An operator on kubernetes_asyncio, one loop: ConfigMaps with the label `mirror=everywhere` have a copy in each other namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError
from kubernetes_asyncio import client

LABEL, EVERYWHERE = "mirror", "everywhere"
SOURCE = "mirror.example.com/source"  # an annotation of copies
MISSING, CONFLICT = 404, 409
BUSY = (429, 500, 503, 504)


@dataclass(frozen=True)
class Plan:
    """What is to be written. Names are (namespace, name)."""

    write: dict[tuple[str, str], dict[str, Any]]
    delete: frozenset[tuple[str, str]]


def plan(present: Iterable[client.V1ConfigMap], namespaces: Iterable[str]) -> Plan:
    """Copies that are missing or are not as their source, and those whose source is gone. What is no copy is let be. Pure."""
    there = {(one.metadata.namespace, one.metadata.name): one for one in present}
    sources = {key: one for key, one in there.items() if (one.metadata.labels or {}).get(LABEL) == EVERYWHERE}
    copies = {key: one for key, one in there.items() if SOURCE in (one.metadata.annotations or {})}
    desired = {
        (namespace, name): {
            "metadata": {"name": name, "annotations": {SOURCE: f"{own}/{name}"}},
            "data": source.data or {},
        }
        for (own, name), source in sorted(sources.items())
        for namespace in namespaces
        if (namespace, name) not in there or (namespace, name) in copies
    }
    write = {key: body for key, body in desired.items() if key not in copies or copies[key].data != body["data"]}
    return Plan(write, frozenset(copies) - frozenset(desired))


async def look(api: client.CoreV1Api) -> Plan:
    """Looks once, and does what is to be done, all at once. ApiException. What was lost or in the way is seen by the next look."""
    maps, namespaces = await asyncio.gather(api.list_config_map_for_all_namespaces(), api.list_namespace())
    open_ = [one.metadata.name for one in namespaces.items if one.metadata.deletion_timestamp is None]
    due = plan(maps.items, open_)
    present = {(one.metadata.namespace, one.metadata.name) for one in maps.items}
    writes: list[Awaitable[object]] = [
        _tolerant(
            api.patch_namespaced_config_map(name, namespace, body)
            if (namespace, name) in present
            else api.create_namespaced_config_map(namespace, body)
        )
        for (namespace, name), body in due.write.items()
    ]
    writes += [_tolerant(api.delete_namespaced_config_map(name, namespace)) for namespace, name in sorted(due.delete)]
    await asyncio.gather(*writes)
    return due


async def _tolerant(call: Awaitable[object]) -> None:
    try:
        await call
    except client.ApiException as error:
        if error.status not in (MISSING, CONFLICT):
            raise


async def run(api: client.CoreV1Api, sleep: Callable[[float], Awaitable[object]], seconds: float = 10) -> None:
    """For ever. After a look that failed on a busy or absent server the next one comes no sooner."""
    while True:
        try:
            await look(api)
        except client.ApiException as error:
            if error.status not in BUSY:
                raise
        except ClientError:  # the connection was cut
            pass
        await sleep(seconds)


if __name__ == "__main__":
    from kubernetes_asyncio import config

    async def main() -> None:
        await config.load_kube_config()
        async with client.ApiClient() as api_client:
            await run(client.CoreV1Api(api_client), asyncio.sleep)

    asyncio.run(main())
