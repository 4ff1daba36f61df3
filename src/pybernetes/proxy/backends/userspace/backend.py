"""One family's local ports and the rules that lead to them (upstream: pkg/proxy/userspace/proxier.go)."""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.net.iptables import IPTables
from pybernetes.net.programs import ProgramError

from ... import conntrack
from ...metrics import Metrics
from ...model import ServicePort, sort_key
from .. import Backend, Changes, Options, Services, Userspace
from ..iptables.backend import IPTablesMode, remove_rules
from ..iptables.tables import Tables, parse
from .balancer import RoundRobin
from .ports import Budget, NoPort, Ports, claim, room_for_connections
from .rules import Place, Rule, change, has_own, not_done, portal_rules, removal, repair
from .tcp import BACKLOG, Relay, TCPRelay
from .udp import UDPRelay

_log = logging.getLogger(__name__)

PortKey = tuple[str, str]  # full name, protocol
UNSPECIFIED = {"IPv4": "0.0.0.0", "IPv6": "::"}
# Nothing is sent there: whichever address the kernel would send from is the one of the default route. TEST-NET-1, documentation.
_SOMEWHERE = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}


@dataclass(slots=True)
class _Portal:
    """A service port that is served."""

    port: ServicePort
    relay: Relay
    rules: tuple[Rule, ...] = ()  # that are in the kernel, or were asked for last
    claims: dict[str, socket.socket] = field(default_factory=dict)  # by address, "" for the node port
    taken: frozenset[str] = frozenset()  # addresses whose port another program has


class UserspaceBackend:
    """See `Backend`. Relays are opened before rules lead to them, and closed when none does any longer."""

    def __init__(
        self,
        family: str,
        tables: Tables,
        metrics: Metrics,
        budget: Budget,
        clock: Clock | None = None,
        host_address: Callable[[str], str] | None = None,
    ) -> None:
        self.family = family
        self._tables, self._metrics, self._budget, self._clock = tables, metrics, budget, clock or RealClock()
        self._host_address = host_address or own_address
        self._chance = random.Random()
        self._flags: Userspace | None = None
        self._ports = Ports(None, self._chance.randrange)
        self._place = Place("", "")
        self._physdev = True  # see `Place`
        self._portals: dict[PortKey, _Portal] = {}
        self._lacks: dict[PortKey, tuple[str, ...]] = {}  # what was told of each port
        self._whole = True  # whether what is served may differ from `services` in more than the changes
        self._used = family == "IPv4"  # a cluster without IPv6 services pays nothing for it

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        """See `Backend`. What finds no local port, or another program at its own, is told, and tried again at the next reading."""
        started = self._clock.monotonic()
        if not self._used and not services and not self._whole:
            return True
        moved = self._settle(options)
        reread = reread or self._whole
        try:
            current = parse(await self._tables.save()) if reread else None
            self._used = self._used or bool(services) or (current is not None and has_own(current))
            if not self._used:
                self._whole = False
                return True
            whole = moved or reread
            before, after = self._difference(changes, services, whole)
            gone, new = await self._open(before, after)
            # Where the kernel was read all ports were gone through: what is not among the new rules is to go.
            text = repair(current, new) if current is not None else change(gone, new)
            if text:
                await self._tables.restore(text)
        except ProgramError as error:
            self._whole = True
            self._metrics.failures.inc(self.family)
            _log.error("Failed to sync %s rules: %s", self.family, error)
            if self._physdev and "physdev" in str(error):
                _log.warning("No xt_physdev in the kernel: external IPs are answered to pods as well")
                self._physdev = False
            return False
        self._close(before, after)
        self._whole = False
        await conntrack.forget(conntrack.stale_flows(changes))
        self._metrics.observe_sync(self.family, changes, services, whole, self._clock.monotonic() - started)
        return True

    def _settle(self, options: Options) -> bool:
        """Takes over the flags; whether rules lead elsewhere than before."""
        flags = options.userspace
        if flags != self._flags:
            assert self._flags is None, "flags do not change while a process runs"
            self._flags = flags
            self._ports = Ports(flags.ports, self._chance.randrange)
        host = flags.bind_address or options.node_ip
        if not host or not _is_local(host, self.family):
            host = self._host_address(self.family)
        place = Place(flags.bind_address, host, self._physdev)
        moved, self._place = place != self._place, place
        return moved

    def _difference(
        self, changes: Changes, services: Services, whole: bool
    ) -> tuple[set[PortKey], dict[PortKey, ServicePort]]:
        """Ports that are or were to be served, as far as they may differ, and what they are now."""
        if not self._serves_family:
            return self._portals.keys() | self._lacks.keys(), {}
        if whole:
            after = {sort_key(p): p for own in services.values() for p in own}
            return self._portals.keys() | self._lacks.keys(), after
        before = {sort_key(p) for each in changes.values() for p in each.before}
        return before, {sort_key(p): p for each in changes.values() for p in each.after}

    @property
    def _serves_family(self) -> bool:
        """One address is of one family."""
        bind = self._place.bind
        return not bind or (":" in bind) == (self.family == "IPv6")

    async def _open(self, before: set[PortKey], after: dict[PortKey, ServicePort]) -> tuple[list[Rule], list[Rule]]:
        """Relays for what is new, and balancers told of what has changed; rules that go and rules that come."""
        gone: list[Rule] = []
        new: list[Rule] = []
        for key in before - after.keys():
            portal = self._portals.get(key)
            gone += portal.rules if portal is not None else ()
        for key, port in after.items():
            portal = self._portals.get(key)
            lacks = not_done(port)
            if lacks and self._lacks.get(key) != lacks:
                _log.warning("%s: --proxy-mode=userspace has no %s", port.full_name, ", ".join(lacks))
            self._lacks[key] = lacks
            if portal is None:
                portal = await self._opened(key, port)
                if portal is None:
                    continue
                self._portals[key] = portal
            gone += portal.rules
            self._told(portal, port)
            new += portal.rules
        return gone, new

    async def _opened(self, key: PortKey, port: ServicePort) -> _Portal | None:
        assert self._flags is not None, "settled"
        if port.protocol not in ("tcp", "udp"):
            return None
        kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
        try:
            own = self._ports.opened(lambda number: self._listening(kind, number))
        except (OSError, NoPort) as error:
            _log.error("failed to allocate proxy port for service %s: %s", port.full_name, error)
            return None
        balancer = RoundRobin(self._chance.shuffle)
        if port.protocol == "udp":
            udp = UDPRelay(port.full_name, own, balancer, self._budget, self._clock, self._flags.udp_timeout)
            return _Portal(port, udp)
        tcp = TCPRelay(port.full_name, own, balancer, self._budget, self._clock)
        await tcp.start()
        return _Portal(port, tcp)

    def _listening(self, kind: int, number: int) -> socket.socket:
        own = socket.socket(socket.AF_INET6 if self.family == "IPv6" else socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        try:
            if self.family == "IPv6":
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            own.bind((self._place.bind or UNSPECIFIED[self.family], number))
            if kind == socket.SOCK_STREAM:
                own.listen(BACKLOG)
        except OSError:
            own.close()
            raise
        return own

    def _told(self, portal: _Portal, port: ServicePort) -> None:
        """Where to send to, and by which addresses it is reached from now on."""
        portal.port = port
        portal.relay.balancer.update(port.endpoints, port.affinity_seconds)
        portal.relay.update()
        places = {address: port.port for address in (*port.external_ips, *port.ingress_ips)}
        if port.node_port:
            places[""] = port.node_port
        self._release(
            portal, {a: n for a, n in places.items() if a in portal.claims and _number(portal.claims[a]) == n}
        )
        taken = set()
        for address, number in places.items():
            if address in portal.claims:
                continue
            try:
                held = claim(port.protocol, self.family, address or UNSPECIFIED[self.family], number)
            except OSError as error:
                taken.add(address)
                if address not in portal.taken:
                    where = address or "node port"
                    _log.error("can't open %s %d/%s for %s: %s", where, number, port.protocol, port.full_name, error)
            else:
                if held is not None:
                    portal.claims[address] = held
        portal.taken = frozenset(taken)
        portal.rules = portal_rules(port, portal.relay.port, self._place, taken)

    @staticmethod
    def _release(portal: _Portal, stay: Iterable[str] = ()) -> None:
        left = set(stay)
        for address in [a for a in portal.claims if a not in left]:
            portal.claims.pop(address).close()

    def _close(self, before: set[PortKey], after: dict[PortKey, ServicePort]) -> None:
        """Of what nothing leads to any longer."""
        for key in before - after.keys():
            portal = self._portals.pop(key, None)
            self._lacks.pop(key, None)
            if portal is not None:
                self._release(portal)
                portal.relay.close()
                self._ports.release(portal.relay.port)

    async def close(self) -> None:
        """See `Closing`. Connections end; rules stay, and lead to nobody until another process has written its own."""
        for portal in self._portals.values():
            self._release(portal)
            portal.relay.abort()
        self._portals.clear()
        self._whole = True


def _number(held: socket.socket) -> int:
    port: int = held.getsockname()[1]
    return port


def _is_local(address: str, family: str) -> bool:
    if (":" in address) != (family == "IPv6"):
        return False
    try:
        with socket.socket(socket.AF_INET6 if family == "IPv6" else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def own_address(family: str) -> str:
    """This node's address on the way out (upstream: ChooseHostInterface); "" where there is none."""
    with suppress(OSError):
        kind = socket.AF_INET6 if family == "IPv6" else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            probe.connect((_SOMEWHERE[family], 9))
            address: str = probe.getsockname()[0]
            return address
    return ""


class UserspaceMode:
    """See `Mode`."""

    name = "userspace"

    async def lacks(self) -> str:
        """What the mode iptables would lack."""
        return await IPTablesMode().lacks()

    async def backends(self, metrics: Metrics) -> list[Backend]:
        """IPv6 only where kernel and programs have it. All share the room for connections."""
        budget = Budget(room_for_connections())
        families = {family: IPTables(family) for family in ("IPv4", "IPv6")}
        if not families["IPv6"].present:
            _log.info("No IPv6 services: kernel or ip6tables has no support for IPv6")
        return [
            UserspaceBackend(family, tables, metrics, budget) for family, tables in families.items() if tables.present
        ]

    async def remove(self, shared: bool) -> None:
        """None of its rules is the kubelet's, too."""
        await remove_rules(lambda saved, _: removal(saved))
