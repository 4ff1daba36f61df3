"""Asks a cluster which versions run in it, as far as the API, its servers and etcd's members tell (`upgradeplan.py` judges)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.store.backends import Location, LocationError
from pybernetes.store.etcd.http2 import RPCError

from .endpoints import url
from .etcd import asking
from .status import API_NAME, ASK_SECONDS, masters_by_address
from .statuslines import server_addresses
from .upgradeplan import Running


class LookError(Exception):
    """A cluster that cannot be asked; says by which file and why."""


class _Info(msgspec.Struct):
    """Of an API server's /version."""

    git_version: str = msgspec.field(default="", name="gitVersion")


async def running(kubeconfig: Path, configured: str, etcd: Location | None) -> Running:
    """`configured` is the ClusterConfiguration's; API servers are asked one by one. LookError."""
    try:
        config = load(kubeconfig)
        client = RESTClient(config, "pybernetes-upgrade", timeout=ASK_SECONDS)
    except ConfigError as error:
        raise LookError(f"{kubeconfig}: {error}") from error
    try:
        nodes = (await client.list(core.Node)).items
        slices = (await client.list(discovery.EndpointSlice, "default")).items
    except (StatusError, ConnectionError, TimeoutError, OSError) as error:
        raise LookError(f"{config.server} ({kubeconfig}): {str(error) or type(error).__name__}") from error
    finally:
        await client.close()
    masters = masters_by_address(nodes)
    servers = server_addresses(slices)
    told = await asyncio.gather(*(_served(config, host, port) for host, port in servers))
    by_node = {masters.get(host, host): version for (host, _), version in zip(servers, told, strict=True)}
    return Running(
        configured,
        {**{name: "" for name in masters.values()}, **by_node},
        {
            node.metadata.name: node.status.node_info.kubelet_version if node.status.node_info else ""
            for node in sorted(nodes, key=lambda node: node.metadata.name)
        },
        await _of_etcd(etcd) if etcd is not None else {},
    )


async def served(client: RESTClient) -> str:
    """The version that an API server serves. StatusError."""
    return msgspec.json.decode(await client.raw("GET", "/version"), type=_Info).git_version


async def _served(config: Config, host: str, port: int) -> str:
    """ "" where it does not answer."""
    try:
        client = HTTPClient(url(host, port), config.ssl_context(), API_NAME)
        try:
            answer = await client.request("GET", "/version", timeout=ASK_SECONDS)
        finally:
            await client.close()
        return msgspec.json.decode(answer.body, type=_Info).git_version if answer.status == 200 else ""
    except (ConfigError, ConnectionError, TimeoutError, OSError, msgspec.DecodeError):
        return ""  # that it does not answer is told by who judges its health


async def _of_etcd(where: Location) -> dict[str, str]:
    """By member. LookError."""
    try:
        asked = await asking.everything(where)
    except (RPCError, LocationError) as error:
        raise LookError(f"etcd at {', '.join(where.urls)}: {error}") from error
    names = {member.id: member.name or member.hex for member in asked.members}
    return {
        (names.get(answer.status.member) or answer.url) if answer.status else answer.url: answer.status.version
        if answer.status
        else ""
        for answer in asked.answers
    }
