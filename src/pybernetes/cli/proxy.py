"""`pybernetes kube-proxy` with upstream's flags (upstream: cmd/kube-proxy)."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.aio.clock import RealClock
from pybernetes.component import command, configfile
from pybernetes.component.command import Failure
from pybernetes.component.flags import Values
from pybernetes.proxy.options import FLAGS, KubeProxyConfiguration, kube_proxy_configuration, with_file

if TYPE_CHECKING:
    from pybernetes.component.restclient import PartClient
    from pybernetes.component.serving import Route
    from pybernetes.proxy.backends import Backend, Mode
    from pybernetes.proxy.metrics import Metrics

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes kube-proxy"
RETRY_SECONDS = 5.0  # a port that is taken
UNHEALTHY_PERIODS = 2  # upstream: a change that waited for two sync periods


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or cleans up and ends."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled; with --cleanup it returns when nothing is left."""
    from pybernetes.component.clientflags import Clients
    from pybernetes.proxy.metrics import Metrics

    if values["config"]:
        values = with_file(values, configfile.load(values["config"]))
    if values["cleanup"]:
        return await _clean()
    chosen, metrics = kube_proxy_configuration(values), Metrics()
    async with AsyncExitStack() as stack:
        client = Clients(stack, values, "kube-proxy", metrics.registry).client()
        await client.wait_ready()
        await _serve(chosen, client, metrics)


async def _clean() -> None:
    from pybernetes.proxy.backends import BackendError
    from pybernetes.proxy.cleanup import remove

    try:
        await remove()
    except BackendError as error:
        raise Failure(f"not everything could be cleaned up: {error}") from error


async def _serve(chosen: KubeProxyConfiguration, client: PartClient, metrics: Metrics) -> None:
    from pybernetes.client.events import EventBroadcaster
    from pybernetes.client.sliminformer import SlimInformers
    from pybernetes.component import serving
    from pybernetes.proxy import health, sysctl
    from pybernetes.proxy.app import ProxyServer, local_addresses

    clock = RealClock()
    mode = await chosen_mode(chosen.mode)
    chosen = chosen.in_mode(mode.name)
    if mode.name == "ipvs":
        await _check_scheduler(chosen.ipvs.scheduler)
    for flag in chosen.without_effect:
        _log.warning("%s has no effect in --proxy-mode=%s", flag, chosen.mode)
    own = await _backends(mode, metrics)
    _prepare(chosen, sysctl)
    state = health.ProxyHealth(UNHEALTHY_PERIODS * chosen.sync_period)
    informers = SlimInformers(client)
    events = EventBroadcaster(client, clock, chosen.node)
    recorder = events.recorder("kube-proxy")
    proxy = ProxyServer(chosen, informers, own, metrics, state, clock, local_addresses, recorder)
    if mode.name == "nftables" and await _serves_cidrs(client):
        proxy.follow_service_cidrs()
    async with AsyncExitStack() as stack:
        pages: dict[str, Route] = {**health.routes(state, clock.now, metrics.healthz, metrics.livez)}
        await _listen(stack, "healthz-bind-address", chosen.healthz, pages, chosen.bind_hard_fail)
        pages = {"/proxyMode": _page(mode.name), **serving.standard(metrics.registry)}
        await _listen(stack, "metrics-bind-address", chosen.metrics, pages, chosen.bind_hard_fail)
        async with asyncio.TaskGroup() as group:
            group.create_task(events.run())
            group.create_task(informers.run())
            group.create_task(proxy.run())


async def chosen_mode(name: str) -> Mode:
    """The mode of that name, or for "" the first that this machine can. Failure with all that is lacking."""
    from pybernetes.proxy import backends

    lacks = []
    for candidate in (name,) if name else backends.DEFAULT_MODES:
        mode = backends.mode(candidate)
        lack = await mode.lacks()
        if not lack:
            _log.info("Using %s proxy", candidate)
            return mode
        lacks.append(f"--proxy-mode={candidate}: {lack}")
    raise Failure("; ".join(lacks))


async def _check_scheduler(scheduler: str) -> None:
    from pybernetes.proxy.backends import BackendError
    from pybernetes.proxy.backends.ipvs.backend import check_scheduler

    try:
        await check_scheduler(scheduler)
    except BackendError as error:
        raise Failure(f"--ipvs-scheduler={scheduler}: {error}") from error


async def _backends(mode: Mode, metrics: Metrics) -> list[Backend]:
    """Of the mode, when what the others have left is gone: a packet would be sent on by both."""
    from pybernetes.proxy.backends import BackendError
    from pybernetes.proxy.cleanup import remove

    try:
        await remove(shared=False, but=mode.name)
    except BackendError as error:
        _log.error("What another mode has left could not be removed: %s", error)
    try:
        return await mode.backends(metrics)
    except BackendError as error:
        raise Failure(str(error)) from error


async def _serves_cidrs(client: PartClient) -> bool:
    """API servers before 1.33 have no ServiceCIDRs; then packets to addresses that nobody has been given go on."""
    from pybernetes.api.errors import StatusError
    from pybernetes.api.types import networking_v1

    try:
        await client.list(networking_v1.ServiceCIDR)
    except StatusError as error:
        _log.info("Cluster IPs that are not in use are not guarded: %s", error)
        return False
    return True


def _prepare(chosen: KubeProxyConfiguration, sysctl: Any) -> None:
    if chosen.node_ports_on_loopback:
        sysctl.ensure(sysctl.ROUTE_LOCALNET, 1)
    if sysctl.read(sysctl.BRIDGE_CALLS) != 1:
        _log.info("Missing br-netfilter module or unset br-nf-call-iptables, proxy may not work as intended")
    sysctl.apply(chosen.conntrack)
    try:
        Path(f"/proc/{os.getpid()}/oom_score_adj").write_text(str(chosen.oom_score_adj))
    except OSError as error:
        _log.debug("the OOM score cannot be set: %s", error.strerror)


async def _listen(
    stack: AsyncExitStack, flag: str, address: tuple[str, int] | None, routes: dict[str, Route], hard: bool
) -> None:
    """Without the hard flag a taken port is tried again, as upstream does."""
    from pybernetes.component import serving

    if address is None:
        return

    async def keep() -> None:
        while True:
            try:
                server = await serving.start(routes, *address)
            except OSError as error:
                message = f"--{flag}={address[0]}:{address[1]}: {error.strerror or error}"
                if hard:
                    raise Failure(message) from error
                _log.error("%s; trying again", message)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                stack.push_async_callback(server.stop, 0)
                return

    first = asyncio.ensure_future(keep())
    stack.callback(first.cancel)
    if hard:
        await first


def _page(content: str) -> Route:
    from pybernetes.component import serving

    async def answer(request: Any) -> Any:
        return serving.text(200, content)

    return answer
