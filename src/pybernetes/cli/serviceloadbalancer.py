"""`pybernetes service-load-balancer`: addresses for Services of type LoadBalancer where there is no cloud."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from pybernetes.aio.clock import RealClock
from pybernetes.component import command, leaderflags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Values
from pybernetes.loadbalancer.options import FLAGS, LoadBalancerOptions, load_balancer_options

if TYPE_CHECKING:
    from pybernetes.component.clientflags import Clients
    from pybernetes.component.metrics import Registry
    from pybernetes.net.routes import Link

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes service-load-balancer"


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled: announces on every node, and gives addresses where it has the lease."""
    from pybernetes.component.clientflags import Clients
    from pybernetes.component.metrics import Registry, process_metrics

    leaderflags.check(values)
    chosen, registry = load_balancer_options(values), Registry()
    process_metrics(registry)
    links = await asyncio.to_thread(_links, chosen.interfaces) if chosen.announces else []
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, "service-load-balancer", registry)
        if chosen.serving is not None:
            await _listen(stack, chosen.serving, registry)
        async with asyncio.TaskGroup() as group:
            group.create_task(_control(values, chosen, clients, registry))
            if chosen.announces:
                group.create_task(_speak(chosen, clients, links))


async def _control(values: Values, chosen: LoadBalancerOptions, clients: Clients, registry: Registry) -> None:
    from pybernetes.client.events import EventBroadcaster
    from pybernetes.client.informer import InformerFactory
    from pybernetes.loadbalancer.controller import COMPONENT, ServiceController

    client, clock = clients.client(), RealClock()

    async def lead() -> None:
        informers, events = InformerFactory(client), EventBroadcaster(client, clock, chosen.node)
        controller = ServiceController(chosen.config, client, informers, events.recorder(COMPONENT), clock)
        async with asyncio.TaskGroup() as group:
            for work in (events.run(), informers.run(), controller.run()):
                group.create_task(work)

    await client.wait_ready()
    elector = leaderflags.elector(values, clients, registry)
    if elector is None:
        await lead()
        return
    while True:  # who loses the lease, as with the API server away, still announces
        await elector.run(lead)
        _log.warning("the lease %s is lost; waiting for it", values["leader-elect-resource-name"])


async def _speak(chosen: LoadBalancerOptions, clients: Clients, links: list[Link]) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.loadbalancer.announcer import Announcer
    from pybernetes.loadbalancer.speaker import Speaker

    client = clients.unlimited("speaker")
    informers = InformerFactory(client)
    try:
        announcer = Announcer(links, asyncio.get_running_loop())
    except OSError as error:
        raise Failure(
            f"addresses cannot be announced: {error.strerror}: run it as root, or with --announce=false"
        ) from error
    try:
        speaker = Speaker(chosen.node, chosen.config.pools, client, informers, announcer, RealClock())
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run())
            group.create_task(speaker.run())
    finally:
        announcer.close()


def _links(names: tuple[str, ...]) -> list[Link]:
    """Those to announce on. UsageError, Failure."""
    from pybernetes.net import interfaces

    try:
        links = interfaces.links()
        default = 0 if names else interfaces.default_device()
    except OSError as error:
        raise Failure(f"this host's interfaces cannot be read: {error.strerror or error}") from error
    if not names:
        by_default = [link for link in links if link.index == default]
        if not by_default:
            raise Failure("no default route says where addresses are to be announced: give --interface")
        return by_default
    by_name = {name: link for link in links for name in (link.name, *link.addresses, *link.ipv6_addresses)}
    missing = [name for name in names if name not in by_name]
    if missing:
        present = ", ".join(sorted(link.name for link in links))
        raise UsageError(f"--interface={missing[0]}: there is no such interface, only {present}")
    return list({by_name[name].index: by_name[name] for name in names}.values())


async def _listen(stack: AsyncExitStack, address: tuple[str, int], registry: Registry) -> None:
    from pybernetes.component import serving

    try:
        server = await serving.start(serving.standard(registry), *address)
    except OSError as error:
        raise Failure(f"--metrics-bind-address={address[0]}:{address[1]}: {error.strerror or error}") from error
    stack.push_async_callback(server.stop, 0)
