"""Which tracked UDP flows must be forgotten so that packets take the way of today's rules (upstream: pkg/proxy/conntrack).

A UDP flow has no end: a client that keeps its port would be sent to a removed endpoint for ever, and one that was refused while
a service had no endpoints would never be sent anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from .model import ServiceKey, ServicePort, sort_key

_log = logging.getLogger(__name__)

PortKey = tuple[str, str]  # full name, protocol


class Change(Protocol):
    """See `backends.Change`."""

    @property
    def before(self) -> Sequence[ServicePort]: ...

    @property
    def after(self) -> Sequence[ServicePort]: ...


def stale_flows(changes: Mapping[ServiceKey, Change]) -> list[tuple[str, ...]]:
    """Arguments of `conntrack -D`, one tuple a deletion."""
    flows: dict[tuple[str, ...], None] = {}
    for change in changes.values():
        old, new = ({sort_key(port): port for port in ports} for ports in (change.before, change.after))
        flows.update(dict.fromkeys(_stale(old, new)))
    return list(flows)


def _stale(old: Mapping[PortKey, ServicePort], new: Mapping[PortKey, ServicePort]) -> list[tuple[str, ...]]:
    flows: dict[tuple[str, ...], None] = {}
    for key, before in old.items():
        if before.protocol == "udp":
            after = new.get(key)
            same_address = after is not None and after.cluster_ip == before.cluster_ip
            for match in _matches(before):
                if not same_address:
                    flows[match] = None  # all flows of an address that no longer is the service's
            left = {e.ip for e in after.all_endpoints} if after is not None else set()
            for ip in sorted({e.ip for e in before.all_endpoints} - left):
                flows.update({(*match, "--dst-nat", ip): None for match in _matches(before)})
    for key, after in new.items():
        if after.protocol == "udp" and after.all_endpoints:
            served_before = key in old and bool(old[key].all_endpoints)
            if not served_before:
                flows.update(dict.fromkeys(_matches(after)))
    return list(flows)


def _matches(port: ServicePort) -> Iterable[tuple[str, ...]]:
    """The destinations by which clients reach a service port."""
    for address in (port.cluster_ip, *port.external_ips, *port.ingress_ips):
        family = ("-f", "ipv6") if ":" in address else ()
        yield (*family, "-p", "udp", "--orig-dst", address, "--orig-port-dst", str(port.port))
    if port.node_port:
        family = ("-f", "ipv6") if ":" in port.cluster_ip else ()
        yield (*family, "-p", "udp", "--orig-port-dst", str(port.node_port))


async def forget(flows: Iterable[tuple[str, ...]]) -> None:
    """Deletes them with the conntrack program; a failure is logged: rules are right, only old flows linger."""
    for flow in flows:
        try:
            process = await asyncio.create_subprocess_exec(
                "conntrack", "-D", *flow, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
        except OSError as error:
            _log.error("conntrack cannot be run, stale UDP flows stay: %s", error.strerror)
            return
        _, problems = await process.communicate()
        # The program fails when nothing matched.
        if process.returncode and b"0 flow entries have been deleted" not in problems:
            _log.error("conntrack -D %s failed: %s", " ".join(flow), problems.decode().strip())
