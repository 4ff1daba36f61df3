"""Asks every part of a cluster of several hosts how it is, as far as the API and health ports tell (`statuslines.py` judges)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pybernetes.api.errors import StatusError
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.pki.certificates import ends_at
from pybernetes.store.backends import Location

from . import renewal, statuslines
from .configuration import Configuration
from .endpoints import url
from .lines import Line
from .removal import CONTROL_PLANE

ASK_SECONDS = 3.0
AT_ONCE = 20  # kubelets that are asked at a time
ARP = Path("/proc/net/arp")
API_NAME = "kubernetes"  # in every API server's certificate, whatever its address


async def of_hosts(
    kubeconfig: Path,
    configuration: Configuration,
    directory: Path,
    etcd: Location | None,
    virtual: str,
    now: datetime,
) -> list[Line]:
    """All of it; what cannot be asked is a line that is not ok. `virtual`: the control plane's address, "" for none."""
    try:
        config = load(kubeconfig)
        client = RESTClient(config, "pybernetes-status", timeout=ASK_SECONDS)
    except ConfigError as error:
        return [Line("kubeconfig", str(kubeconfig), False, str(error))]
    lines: list[Line] = []
    try:
        nodes = (await client.list(core.Node)).items
        leases = (await client.list(coordination.Lease, "kube-node-lease")).items
        leaders = (await client.list(coordination.Lease, "kube-system")).items
        slices = (await client.list(discovery.EndpointSlice, "default")).items
        lines += await _of_api(config, nodes, slices, virtual, now)
        lines += statuslines.leader_lines({lease.metadata.name: lease for lease in leaders}, now)
        lines += statuslines.node_lines(nodes, {lease.metadata.name: lease for lease in leases}, now)
        lines += await _kubelets(client, nodes)
    except (StatusError, ConnectionError, TimeoutError, OSError) as error:
        lines.append(Line("api", config.server, False, f"cannot be asked: {str(error) or type(error).__name__}"))
    finally:
        await client.close()
    return [*lines, *(await _etcd(etcd) if etcd is not None else []), *_certificates(configuration, directory, now)]


async def _of_api(
    config: Config,
    nodes: Sequence[core.Node],
    slices: Sequence[discovery.EndpointSlice],
    virtual: str,
    now: datetime,
) -> list[Line]:
    masters = masters_by_address(nodes)
    servers = statuslines.server_addresses(slices)
    answers = await asyncio.gather(*(_ready(config, host, port) for host, port in servers))
    ends = await asyncio.gather(*(asyncio.to_thread(_serving_end, host, port) for host, port in servers))
    lines = statuslines.server_lines(dict(zip(servers, answers, strict=True)), masters)
    for (host, _), end in zip(servers, ends, strict=True):
        if end is not None:
            lines.append(statuslines.certificate_line(f"{masters.get(host, host)}: apiserver", end, now))
    arp: Mapping[str, str] = {}
    with contextlib.suppress(OSError):  # elsewhere than on Linux nobody can tell
        arp = statuslines.parse_arp(ARP.read_text())
    own = {virtual} if virtual and _is_own(virtual) else set()
    address = statuslines.address_line(virtual, masters, own, os.uname().nodename, arp)
    return [*lines, *([address] if address is not None else [])]


def masters_by_address(nodes: Sequence[core.Node]) -> dict[str, str]:
    """The control-plane nodes by address."""
    return {
        address.address: node.metadata.name
        for node in nodes
        if CONTROL_PLANE in node.metadata.labels
        for address in node.status.addresses
        if address.type == "InternalIP"
    }


async def _ready(config: Config, host: str, port: int) -> str:
    """ "" if that API server is ready, else what is wrong."""
    try:
        client = HTTPClient(url(host, port), config.ssl_context(), API_NAME)
        try:
            answer = await client.request("GET", "/readyz", timeout=ASK_SECONDS)
        finally:
            await client.close()
    except (ConfigError, ConnectionError, TimeoutError, OSError) as error:
        return f"does not answer: {str(error) or type(error).__name__}"
    return (
        "" if answer.status == 200 else f"answers {answer.status}: {answer.body[:300].decode(errors='replace').strip()}"
    )


def _serving_end(host: str, port: int) -> datetime | None:
    """When its certificate ends; None where it shows none. Whoever it is: the end alone is asked for."""
    try:
        return ends_at(ssl.get_server_certificate((host, port), timeout=ASK_SECONDS).encode())
    except (OSError, ValueError):
        return None  # that it does not answer is a line of its own


async def _kubelets(client: RESTClient, nodes: Sequence[core.Node]) -> list[Line]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Line:
        async with limit:
            try:
                await client.raw("GET", f"/api/v1/nodes/{name}/proxy/healthz")
            except (StatusError, ConnectionError, TimeoutError) as error:
                return statuslines.kubelet_line(
                    name, f"its API server cannot ask it: {str(error) or type(error).__name__}"
                )
            return statuslines.kubelet_line(name, "")

    return list(await asyncio.gather(*(one(name) for name in sorted(node.metadata.name for node in nodes))))


async def _etcd(where: Location) -> list[Line]:
    from pybernetes.store.backends import LocationError
    from pybernetes.store.etcd.http2 import RPCError

    from .etcd import asking
    from .etcd.health import findings

    try:
        asked = await asking.everything(where)
    except (RPCError, LocationError) as error:
        return [Line("etcd", ",".join(where.urls), False, str(error))]
    names = {member.id: member.name for member in asked.members}
    return statuslines.etcd_lines(asked.answers, names, findings(asked.members, asked.answers, asked.alarms))


def _certificates(configuration: Configuration, directory: Path, now: datetime) -> list[Line]:
    """This host's; those that are not here are another host's."""
    try:
        signed, signing = renewal.expirations(configuration, directory)
    except renewal.RenewalError as error:
        return (
            [Line("certificate", "all", False, str(error))]
            if Path(configuration.cluster.certificates_dir).exists()
            else []
        )
    return [
        statuslines.certificate_line(one.name, one.ends, now) for one in (*signing, *signed) if one.ends is not None
    ]


def _is_own(address: str) -> bool:
    """Whether this host has it: nothing else can be bound to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
