"""`pybernetes local-path-provisioner`: directories of this node as volumes of claims."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from pybernetes.aio.clock import RealClock
from pybernetes.component import command
from pybernetes.component.flags import Values
from pybernetes.localpath.options import FLAGS, node_name, root

PROGRAM = "pybernetes local-path-provisioner"


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled."""
    from pybernetes.client.events import EventBroadcaster
    from pybernetes.client.informer import InformerFactory
    from pybernetes.component.clientflags import Clients
    from pybernetes.component.metrics import Registry
    from pybernetes.localpath.plan import PROVISIONER
    from pybernetes.localpath.provisioner import Provisioner

    node, directory, clock = node_name(values), root(values), RealClock()
    async with AsyncExitStack() as stack:
        client = Clients(stack, values, "local-path-provisioner", Registry()).client()
        informers, events = InformerFactory(client), EventBroadcaster(client, clock, node)
        recorder = events.recorder(f"{PROVISIONER}_{node}")
        provisioner = Provisioner(node, directory, client, informers, recorder, clock)
        async with asyncio.TaskGroup() as group:
            for work in (events.run(), informers.run(), provisioner.run()):
                group.create_task(work)
