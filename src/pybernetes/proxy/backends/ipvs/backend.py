"""Brings IPVS, ipsets, the interface kube-ipvs0 and iptables to what services want (upstream: pkg/proxy/ipvs/proxier.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.net import ipset
from pybernetes.net import ipvsmessages as ipvs
from pybernetes.net.dummy import DummyDevice
from pybernetes.net.iptables import IPTables
from pybernetes.net.ipvs import IPVS
from pybernetes.net.ipvsmessages import Command, RealServer, Service, Use, VirtualServer
from pybernetes.net.nftables import kernel_version
from pybernetes.net.programs import ProgramError, run

from ... import conntrack, sysctl
from ...metrics import Metrics
from .. import IPVS_DEVICE, Backend, BackendError, Changes, IPVSOptions, Options, Services
from ..iptables.backend import IPTablesMode, remove_rules
from ..iptables.tables import State, Tables, apply, parse, plan
from . import legacy, rules, sets
from .rules import JUMPS, Serving
from .ruleset import Held, Pair, Plan, RuleSet

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 60.0  # upstream's: how often connections of a leaving real server are counted
# The kernel tells real servers of one virtual server at a time: a reading asks for those of about so many, in turn.
ASKED_AT_ONCE = 1000
_REFUSED = "can't use the IPVS proxier"  # upstream's words
_PROBE = VirtualServer("198.51.100.0", 20000, "tcp")  # upstream's: of a network that is for documentation

SYSCTLS = {
    "net/ipv4/vs/conntrack": 1,  # else what IPVS sends on is masqueraded by nobody
    "net/ipv4/vs/expire_nodest_conn": 1,
    "net/ipv4/vs/expire_quiescent_template": 1,  # who is stuck to a leaving real server goes to another one
    "net/ipv4/ip_forward": 1,
}
STRICT_ARP = {"net/ipv4/conf/all/arp_ignore": 1, "net/ipv4/conf/all/arp_announce": 2}
CONN_REUSE = "net/ipv4/vs/conn_reuse_mode"
_CONN_REUSE_SINCE, _CONN_REUSE_MENDED = (4, 1), (5, 9)  # kernels: in between it must be 0


class VirtualServers(Protocol):
    """What the backend needs of `net.ipvs.IPVS`. Blocking; OSError from everything."""

    def services(self) -> dict[VirtualServer, Service]: ...

    def destinations(self, server: VirtualServer) -> dict[RealServer, Use]: ...

    def apply(self, commands: Sequence[Command]) -> None: ...

    def close(self) -> None: ...


class Device(Protocol):
    """What it needs of `net.dummy.DummyDevice`. Blocking; OSError from everything."""

    def ensure(self) -> None: ...

    def addresses(self) -> tuple[set[str], set[str]]: ...

    def bind(self, addresses: Iterable[str]) -> None: ...

    def unbind(self, addresses: Iterable[str]) -> None: ...

    def close(self) -> None: ...


class Sets(Protocol):
    """What it needs of the module `net.ipset`. ProgramError from everything."""

    async def save(self) -> str: ...

    async def restore(self, lines: Iterable[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Machine:
    """The kernel's doors for one family."""

    servers: VirtualServers
    device: Device
    sets: Sets
    tables: Tables
    random_fully: bool = True


class IPVSBackend:
    """See `Backend`. What the kernel has is remembered, and read again when asked."""

    def __init__(self, family: str, machine: Machine, metrics: Metrics, clock: Clock | None = None) -> None:
        self.family = family
        self._machine, self._metrics, self._clock = machine, metrics, clock or RealClock()
        self._rules: RuleSet | None = None  # None: the kernel is not known
        self._given: Options | None = None
        self._tables: State = {}
        self._draining: set[Pair] = set()  # real servers of weight 0 that still have connections
        self._drained = 0.0
        self._reading = 0  # the number of the next one
        self._prepared: IPVSOptions | None = None
        self._used = family == "IPv4"  # a cluster without IPv6 services pays nothing for it

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        """See `Backend`. Real servers that leave are looked after here, too: at each reading, and every DRAIN_SECONDS where changes come."""
        if self._rules is not None and not self._used and not services:
            return True
        started = self._clock.monotonic()
        full = reread or self._rules is None or self._given != options or not self._used
        try:
            if full:
                await self._whole(changes, services, options)
            elif changes:
                assert self._rules is not None, "it is known"
                await self._apply(self._rules.change(changes), None)
            if full or started - self._drained >= DRAIN_SECONDS:
                self._drained = started
                await asyncio.to_thread(self._drain)
        except (ProgramError, OSError) as error:
            self._rules = None
            _log.error("Failed to sync %s ipvs rules: %s", self.family, error)
            return False
        self._given = options
        if self._used and (full or changes):
            await conntrack.forget(conntrack.stale_flows(changes))
            self._metrics.observe_sync(self.family, changes, services, full, self._clock.monotonic() - started)
        return True

    async def close(self) -> None:
        """See `Closing`."""
        self._machine.servers.close()
        self._machine.device.close()

    async def _whole(self, changes: Changes, services: Services, options: Options) -> None:
        self._prepare(options.ipvs)
        saved = await self._machine.sets.save()
        held, others = await asyncio.to_thread(self._read, saved)
        self._used = self._used or bool(services or held.entries)
        flags = {field.name: getattr(options, field.name) for field in fields(Options)}
        chosen = rules.Options(
            **flags, family=self.family, random_fully=self._machine.random_fully, node_addresses=others
        )
        if not self._used:
            self._rules = RuleSet(chosen)
            return
        await asyncio.to_thread(self._machine.device.ensure)
        if self._rules is not None and self._rules.options == chosen:
            ruleset = self._rules
            ruleset.change(changes)  # what comes of it is among all that differs
            differences = ruleset.against(held)
        else:
            ruleset = RuleSet(chosen)
            differences = ruleset.whole(services, held)
        self._rules, self._draining = ruleset, held.draining
        self._tables = parse(await self._machine.tables.save())
        foreign = legacy.of_iptables(self._tables)
        if foreign:
            await self._restore(foreign)
            self._tables = parse(await self._machine.tables.save())
        await self._apply(differences, ruleset.chains)

    def _read(self, saved: str) -> tuple[Held, tuple[str, ...]]:
        """What the kernel holds, and this node's addresses. Of virtual servers whose turn it is not the real ones are believed to be there."""
        held = Held(entries=sets.parse(saved.splitlines(), self.family))
        own, others = self._machine.device.addresses()
        held.addresses = set(self._of_family(own))
        services = self._machine.servers.services()
        own_servers = ipvs.of_family(services, self.family)
        turns = -(-len(own_servers) // ASKED_AT_ONCE)
        believed: set[VirtualServer] = set()
        for server in own_servers:
            serving = self._rules.serving(server) if self._rules is not None else None
            if serving is not None and hash(server) % turns != self._reading % turns:
                held.servers[server] = Serving(services[server], serving.real)
                believed.add(server)
                continue
            destinations = self._machine.servers.destinations(server)
            held.draining.update((server, real) for real, use in destinations.items() if not use.weight)
            real = frozenset(real for real, use in destinations.items() if use.weight)
            held.servers[server] = Serving(services[server], real)
        held.draining.update(pair for pair in self._draining if pair[0] in believed)
        self._reading += 1
        return held, tuple(sorted(self._of_family(others)))

    def _of_family(self, addresses: Iterable[str]) -> list[str]:
        return [address for address in addresses if (":" in address) == (self.family == "IPv6")]

    async def _apply(self, differences: Plan, whole: dict[str, rules.Chains] | None) -> None:
        """`whole`: iptables is compared in every chain, with the jumps; None: in those that this rule set changes."""
        assert self._rules is not None, "it is known"
        device, family = self._machine.device, self.family
        lines = [*sets.creation(differences.sets, family), *sets.changes("add", differences.gained, family)]
        if lines:
            await self._machine.sets.restore(lines)
        await self._filter(whole)  # before anything is served: nobody whom a source range keeps out slips in
        await asyncio.to_thread(self._serve, differences)
        if differences.bound:
            await asyncio.to_thread(device.bind, differences.bound)
        if differences.unbound:
            await asyncio.to_thread(device.unbind, differences.unbound)
        await asyncio.to_thread(self._leave, differences)
        if differences.lost:
            await self._machine.sets.restore(sets.changes("del", differences.lost, family))

    def _serve(self, differences: Plan) -> None:
        """Virtual servers that are new or change, and their new real servers; one that was to leave is taken back."""
        commands = [ipvs.new_service(server, service) for server, service in differences.new]
        commands += [ipvs.set_service(server, service) for server, service in differences.changed]
        for server, real in differences.joining:
            back = (server, real) in self._draining
            commands.append(ipvs.set_dest(server, real, 1) if back else ipvs.new_dest(server, real))
        if commands:
            self._machine.servers.apply(commands)
        self._draining.difference_update(differences.joining)

    def _leave(self, differences: Plan) -> None:
        """Over TCP a real server stays without new connections until the last one has ended; others are sent elsewhere at once."""
        commands = [ipvs.del_service(server) for server in differences.gone]
        gone = set(differences.gone)
        self._draining = {pair for pair in self._draining if pair[0] not in gone}
        uses: dict[VirtualServer, dict[RealServer, Use]] = {}
        for server, real in differences.leaving:
            if server.protocol == "tcp" and server not in uses:
                uses[server] = self._machine.servers.destinations(server)
            use = uses.get(server, {}).get(real)
            if use is not None and use.active + use.inactive:
                commands.append(ipvs.set_dest(server, real, 0))
                self._draining.add((server, real))
            else:
                commands.append(ipvs.del_dest(server, real))
        if commands:
            self._machine.servers.apply(commands)

    def _drain(self) -> None:
        """Those that have no connection any more go."""
        commands = []
        for server in {server for server, _ in self._draining}:
            uses = self._machine.servers.destinations(server)
            for pair in [pair for pair in self._draining if pair[0] == server]:
                use = uses.get(pair[1])
                if use is not None and server.protocol == "tcp" and use.active + use.inactive:
                    continue
                self._draining.discard(pair)
                commands.append(ipvs.del_dest(*pair))
        if commands:
            self._machine.servers.apply(commands)

    async def _filter(self, whole: dict[str, rules.Chains] | None) -> None:
        """iptables, by difference."""
        assert self._rules is not None, "it is known"
        desired = whole if whole is not None else self._rules.chains
        touched = None
        if whole is None:
            touched = {c for table, own in desired.items() for c in own if self._tables[table].get(c) != own[c]}
            if not touched:
                return
        text = plan(self._tables, desired, JUMPS, touched)
        if text:
            await self._restore(text)
            apply(self._tables, desired, JUMPS, touched)
        for table, own in desired.items():
            self._metrics.rules.set(sum(map(len, own.values())), table, self.family)

    async def _restore(self, text: str) -> None:
        try:
            await self._machine.tables.restore(text)
        except ProgramError:
            self._metrics.failures.inc(self.family)
            raise

    def _prepare(self, options: IPVSOptions) -> None:
        """Settings of the kernel, once. OSError where it refuses one."""
        if self._prepared == options:
            return
        wanting = dict(SYSCTLS)
        kernel = kernel_version()
        if kernel < _CONN_REUSE_SINCE:
            _log.error("Can't set sysctl %s, kernel version must be at least 4.1", CONN_REUSE)
        elif kernel < _CONN_REUSE_MENDED:
            wanting[CONN_REUSE] = 0
        if options.strict_arp:
            wanting |= STRICT_ARP
        refused = [name for name, value in wanting.items() if not sysctl.ensure(name, value)]
        if refused:
            raise OSError(0, f"can't set sysctl {', '.join(refused)}")
        seconds = [int(s) for s in (options.tcp_timeout, options.tcp_fin_timeout, options.udp_timeout)]
        if any(seconds):
            try:
                self._machine.servers.apply([ipvs.set_timeouts(*seconds)])
            except OSError as error:
                _log.error("Failed to configure IPVS timeouts: %s", error)
        self._prepared = options


async def check_scheduler(scheduler: str) -> None:
    """Whether the kernel has the scheduler: a virtual server with it is made and removed. BackendError with upstream's words."""
    try:
        servers = IPVS()
        try:
            if scheduler not in {service.scheduler for service in servers.services().values()}:
                gone = ipvs.del_service(_PROBE)
                servers.apply([gone, ipvs.new_service(_PROBE, Service(scheduler)), gone])
        finally:
            servers.close()
    except OSError as error:
        raise BackendError(f"{_REFUSED}: {error}") from error


class IPVSMode:
    """See `Mode`."""

    name = "ipvs"

    async def lacks(self) -> str:
        """IPVS in the kernel, whose module is loaded; ipset; iptables; or the right to use them."""
        if not await _has_ipvs():
            return f"{_REFUSED}: ipvs not supported by the kernel"
        try:
            version = await ipset.version()
        except ProgramError as error:
            return f"{_REFUSED}: error getting ipset version, error: {error}"
        if version < ipset.OLDEST:
            words = ".".join(map(str, version))
            return f"{_REFUSED}: ipset version: {words} is less than min required version: 6.0"
        return await IPTablesMode().lacks()

    async def backends(self, metrics: Metrics) -> list[Backend]:
        """IPv6 only where kernel and programs have it."""
        backends: list[Backend] = []
        try:
            random_fully = await IPTables("IPv4").has_random_fully()
            for family in ("IPv4", "IPv6"):
                tables = IPTables(family)
                if not tables.present:
                    _log.info("No %s services: kernel or iptables has no support for it", family)
                    continue
                machine = Machine(IPVS(), DummyDevice(IPVS_DEVICE), ipset, tables, random_fully)
                backends.append(IPVSBackend(family, machine, metrics))
        except (ProgramError, OSError) as error:
            raise BackendError(f"{_REFUSED}: {error}") from error
        return backends

    async def remove(self, shared: bool) -> None:
        """Chains that the mode iptables has, too, are left to that.

        Virtual servers are removed, whoever made them, where kube-ipvs0 or one of the sets says that this mode was here; else nothing
        is touched, and no module loaded.
        """
        problems = []
        for step in (_remove_servers, _remove_rules, _remove_sets):
            try:
                await step()
            except (ProgramError, OSError, BackendError) as error:
                problems.append(str(error))
        if problems:
            raise BackendError("; ".join(problems))


async def _has_ipvs() -> bool:
    """Loads the module where it is missing."""
    try:
        await run(["modprobe", "-va", "ip_vs"])
    except ProgramError as error:
        _log.debug("%s", error)  # it may be built in
    try:
        IPVS().close()
    except OSError:
        return False
    return True


async def _remove_servers() -> None:
    """With kube-ipvs0. The sets go last: a removal that was cut off is begun again."""
    device = DummyDevice(IPVS_DEVICE)
    try:
        if not device.index() and not await _set_names():
            return
        try:
            servers = IPVS()
        except FileNotFoundError:
            pass  # there are none
        else:
            try:
                servers.flush()
            finally:
                servers.close()
        device.delete()
    finally:
        device.close()


async def _remove_rules() -> None:
    await remove_rules(lambda saved, family: legacy.of_ipvs(parse(saved), family))


async def _remove_sets() -> None:
    names = await _set_names()
    if names:
        await ipset.restore(f"destroy {name}" for name in names)


async def _set_names() -> list[str]:
    """Of both families, as far as they are there."""
    if not ipset.present():
        return []
    try:
        saved = (await ipset.save()).splitlines()
    except ProgramError as error:
        if error.code:
            raise
        return []  # who has no ipset has no sets
    return [sets.kernel_name(name, family) for family in ("IPv4", "IPv6") for name in sets.parse(saved, family)]
