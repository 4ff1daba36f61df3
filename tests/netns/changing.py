"""A proxy's backend that changes Services by dice until it is killed: python -m tests.netns.changing MODE SEED. One line a sync."""

from __future__ import annotations

import asyncio
import random
import sys

from pybernetes.proxy.backends import Backend, Change, Options, Userspace, mode
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort
from tests.unit.proxy.backends.randomly import random_port

SERVICES, CHANGES_A_SYNC = 40, 20
OPTIONS = Options("10.244.0.0/16", localhost_node_ports=False, userspace=Userspace("127.0.0.1"))

Services = dict[ServiceKey, list[ServicePort]]


def changed(services: Services, chance: random.Random) -> Services:
    """With some services other than before, new or gone."""
    result = dict(services)
    for _ in range(CHANGES_A_SYNC):
        number = chance.randrange(SERVICES)
        one = random_port(chance, number)
        own = [one, random_port(chance, number, "tls")] if chance.random() < 0.3 else [one]
        if chance.random() < 0.2:
            result.pop((one.namespace, one.service), None)
        else:
            result[one.namespace, one.service] = own
    return result


async def sync(backend: Backend, before: Services, after: Services, *, reread: bool = False) -> bool:
    """From one state to the next."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changes = {name: Change(before.get(name, []), after.get(name, [])) for name in names}
    return await backend.sync(changes, after, OPTIONS, reread=reread)


async def main(name: str, seed: str) -> None:
    backend = (await mode(name).backends(Metrics()))[0]
    chance, services = random.Random(seed), Services()
    while True:
        following = changed(services, chance)
        good = await sync(backend, services, following, reread=not services)
        services = following
        print(good, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
