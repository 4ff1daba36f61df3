"""Which tracked UDP flows must be forgotten so that packets take the way of today's rules (upstream: pkg/proxy/conntrack).

A UDP flow has no end: a client that keeps its port would be sent to a removed endpoint for ever, and one that was refused while
a service had no endpoints would never be sent anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pybernetes.net.programs import ProgramError, run, run_to_file

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


def matching(flows: Iterable[tuple[str, ...]], entries: Iterable[str]) -> list[tuple[str, ...]]:
    """Those deletions that would find something among entries as `conntrack -L` prints them.

    Most find nothing, and each makes the kernel go through all its connections.
    """
    by_flow = [(flow, _conditions(flow)) for flow in flows]
    by_port: dict[str, list[tuple[tuple[str, ...], dict[str, str]]]] = {}
    for flow, conditions in by_flow:
        by_port.setdefault(conditions["--orig-port-dst"], []).append((flow, conditions))
    matched: dict[tuple[str, ...], None] = {}
    for entry in entries:
        # Twice each, of the original direction and of the answers': who answers is whom it was sent on to.
        places = [word.partition("=")[::2] for word in entry.split() if "=" in word]
        destinations = [value for name, value in places if name == "dst"]
        ports = [value for name, value in places if name == "dport"]
        sources = [value for name, value in places if name == "src"]
        if not destinations or not ports:
            continue
        for flow, conditions in by_port.get(ports[0], ()):
            to, sent_on = conditions.get("--orig-dst"), conditions.get("--dst-nat")
            if to in (None, destinations[0]) and (sent_on is None or sent_on in sources[1:]):
                matched[flow] = None
    return [flow for flow, _ in by_flow if flow in matched]


def _conditions(flow: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(flow[::2], flow[1::2], strict=True))


async def forget(flows: Iterable[tuple[str, ...]]) -> None:
    """Deletes them with the conntrack program; a failure is logged: rules are right, only old flows linger."""
    families: dict[str, list[tuple[str, ...]]] = {}
    for flow in flows:
        families.setdefault(_conditions(flow).get("-f", "ipv4"), []).append(flow)
    for family, own in families.items():
        try:
            with await run_to_file(["conntrack", "-L", "-f", family, "-p", "udp"]) as entries:
                present = matching(own, entries)
        except ProgramError as error:
            _log.error("stale UDP flows stay: %s", error)
            continue
        for flow in present:
            try:
                # What IPVS has sent on does not count as DNAT; who answers is the same in every mode.
                await run(["conntrack", "-D", *("--reply-src" if word == "--dst-nat" else word for word in flow)])
            except ProgramError as error:
                if "0 flow entries have been deleted" not in str(error):  # it has ended meanwhile
                    _log.error("%s", error)
