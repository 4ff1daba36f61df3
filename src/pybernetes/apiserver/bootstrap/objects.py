"""What is there before anyone makes it: system priority classes and local APIServices.

Upstream: pkg/registry/scheduling/rest, kube-aggregator's autoregister controller. Namespaces, the Service `kubernetes`, RBAC's roles and
flow control have places of their own (`namespaces.py`, `services`, `authorization/reconcile.py`, `flowcontrol.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from pybernetes.api.errors import StatusError

from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..kinds.apiregistration import apiservice, priorities
from ..kinds.scheduling import priorityclass
from ..resource import Object, Resource

Stores = Callable[[str, str, str], GenericStore]


def api_services(served: Iterable[Resource], now: str) -> list[Object]:
    """One for each group-version."""
    versions = dict.fromkeys((resource.group, resource.version) for resource in served)
    return [
        apiservice.local(group, version, priorities.of_group(group), priorities.of_version(group, version), now)
        for group, version in versions
    ]


async def ensure(store: Stores, served: Iterable[Resource], now: str) -> None:
    """Makes what is missing, all at once."""
    objects = [(store("scheduling.k8s.io", "v1", "priorityclasses"), obj) for obj in priorityclass.system_classes()]
    services = store("apiregistration.k8s.io", "v1", "apiservices")
    objects += [(services, obj) for obj in api_services(served, now)]
    await asyncio.gather(*(_ensure(one, obj) for one, obj in objects))


async def _ensure(store: GenericStore, obj: Object) -> None:
    name = obj["metadata"]["name"]
    if store.key("", name) in store.cache.resource(store.prefix).items:
        return
    plain, _ = store.schema.normalize(obj)
    status = plain.get("status")
    try:
        created = await store.create(plain, "", WriteOptions(admission=False))
        if status:
            await store.update("", name, {**created, "status": status}, WriteOptions(admission=False), "status")
    except StatusError as error:
        if error.code != 409:
            raise  # another server was faster
