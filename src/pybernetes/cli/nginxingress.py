"""`pybernetes nginx-ingress-controller` (upstream: kubernetes/ingress-nginx, cmd/nginx)."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from pybernetes.aio.clock import RealClock
from pybernetes.component import command
from pybernetes.component.command import Failure
from pybernetes.component.flags import Values
from pybernetes.ingress.options import FLAGS, IngressControllerOptions, ingress_controller_options

if TYPE_CHECKING:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.component.clientflags import Clients
    from pybernetes.component.metrics import Registry
    from pybernetes.component.serving import Check
    from pybernetes.ingress.addresses import Source
    from pybernetes.ingress.status import StatusWriter

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes nginx-ingress-controller"
CLEAR_SECONDS = 5.0  # at the end; an API server that is away is not waited for


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled; then nginx has ended."""
    from pybernetes.client.events import EventBroadcaster
    from pybernetes.client.informer import InformerFactory
    from pybernetes.component.clientflags import Clients
    from pybernetes.ingress import certificates, nginx
    from pybernetes.ingress.controller import COMPONENT, IngressController
    from pybernetes.ingress.metrics import Metrics
    from pybernetes.ingress.status import StatusWriter

    chosen, metrics, clock = ingress_controller_options(values, os.environ), Metrics(), RealClock()
    process = nginx.Nginx(values["nginx"], chosen.folder, clock)
    try:
        http2_directive = await process.prepare()
    except (nginx.NginxError, OSError) as error:
        raise Failure(f"--nginx, --nginx-dir: {error}") from error
    machine = nginx.machine(chosen.folder, chosen.http_port, chosen.https_port, http2_directive, chosen.workers)
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, "nginx-ingress-controller", metrics.registry)
        client = clients.client()
        informers, events = InformerFactory(client, clock), EventBroadcaster(client, clock, os.uname().nodename)
        recorder = events.recorder(COMPONENT)
        fallback = certificates.fake(clock.now())
        controller = IngressController(chosen.config, machine, fallback, process, informers, recorder, metrics, clock)
        space = chosen.config.namespace
        writer = StatusWriter(controller.ours, _source(chosen, informers), client, informers, clock, space)
        if chosen.serving is not None:
            checks = {"nginx": lambda: "" if process.running else "nginx does not run", "sync": controller.problem}
            await _listen(stack, chosen.serving, metrics.registry, checks)
        await client.wait_ready()
        try:
            async with asyncio.TaskGroup() as group:
                for work in (events.run(), informers.run(), controller.run(), process.run()):
                    group.create_task(work)
                if chosen.writes:
                    group.create_task(_write(values, clients, metrics.registry, informers, writer))
                else:
                    _log.info(
                        "neither --publish-status-address nor --publish-service, and no pod (POD_NAME): no status of an Ingress is written"
                    )
        finally:
            if writer.leads and chosen.clears:
                await _clear(writer)


def _source(chosen: IngressControllerOptions, informers: InformerFactory) -> Source:
    from pybernetes.ingress.addresses import OfPods, OfService, Told

    if chosen.service is not None:
        return OfService(chosen.service, informers)
    if not chosen.addresses and chosen.pod is not None and chosen.writes:
        return OfPods(chosen.pod, chosen.internal, informers)
    return Told(chosen.addresses)


async def _write(
    values: Values, clients: Clients, registry: Registry, informers: InformerFactory, writer: StatusWriter
) -> None:
    from pybernetes.client.leaderelection import LeaderElector, Options

    identity = f"{os.uname().nodename}_{uuid.uuid4()}"
    options = Options(values["election-id"], identity, values["election-namespace"])
    elector = LeaderElector(clients.unlimited("leader-election"), options)
    registry.gauge(
        "nginx_ingress_controller_leader_election_status",
        "Gauge reporting status of the leader election, 0 indicates follower, 1 indicates leader.",
        ("name",),
        function=lambda: {(options.name,): float(elector.is_leader)},
    )
    await informers.wait_synced()
    writer.listen()
    while True:  # who loses the lease, as with the API server away, still serves
        await elector.run(writer.run)
        writer.leads = False
        _log.warning("the lease %s is lost; waiting for it", options.name)


async def _clear(writer: StatusWriter) -> None:
    try:
        async with asyncio.timeout(CLEAR_SECONDS):
            await writer.clear()
    except TimeoutError:
        _log.warning("statuses were not taken back: the API server did not answer within %.0f s", CLEAR_SECONDS)


async def _listen(
    stack: AsyncExitStack, address: tuple[str, int], registry: Registry, checks: Mapping[str, Check]
) -> None:
    from pybernetes.component import serving

    try:
        server = await serving.start(serving.standard(registry, checks), *address)
    except OSError as error:
        raise Failure(f"--healthz-port={address[1]}: {error.strerror or error}") from error
    stack.push_async_callback(server.stop, 0)
