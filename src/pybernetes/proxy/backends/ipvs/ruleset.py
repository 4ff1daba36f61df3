"""What all Service ports together want of IPVS, and what changes between two states. A change costs what changed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pybernetes.net.ipvsmessages import RealServer, Service, VirtualServer

from ...model import sort_key
from .. import Changes, Services
from . import sets
from .rules import Chains, Options, PortObjects, Serving, chains, port_objects
from .sets import Entry

PortKey = tuple[str, str]
Pair = tuple[VirtualServer, RealServer]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Held:
    """What the kernel holds of a family."""

    servers: dict[VirtualServer, Serving] = field(default_factory=dict)
    draining: set[Pair] = field(default_factory=set)  # of weight 0: not among the real ones of their servers
    addresses: set[str] = field(default_factory=set)  # of kube-ipvs0
    entries: dict[str, set[str]] = field(default_factory=dict)  # of the sets that are there


@dataclass(slots=True)
class Plan:
    """What brings the kernel from one state to the next; in this order no packet meets a half of a service."""

    sets: list[str] = field(default_factory=list)  # that are missing
    gained: list[Entry] = field(default_factory=list)
    new: list[tuple[VirtualServer, Service]] = field(default_factory=list)
    changed: list[tuple[VirtualServer, Service]] = field(default_factory=list)
    joining: list[Pair] = field(default_factory=list)
    bound: list[str] = field(default_factory=list)
    unbound: list[str] = field(default_factory=list)
    leaving: list[Pair] = field(default_factory=list)  # real servers of virtual servers that stay
    gone: list[VirtualServer] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class Owners(Generic[K, V]):
    """Who wants which key: two ports may share one, as the ports of a Service share its address."""

    def __init__(self) -> None:
        self._owners: dict[K, dict[PortKey, V]] = {}

    def own(self, name: PortKey, items: Mapping[K, V]) -> None:
        for key, value in items.items():
            self._owners.setdefault(key, {})[name] = value

    def disown(self, name: PortKey, keys: Iterable[K]) -> None:
        for key in keys:
            owners = self._owners.get(key, {})
            owners.pop(name, None)
            if not owners:
                self._owners.pop(key, None)

    def value(self, key: K) -> V | None:
        """Where two want it otherwise (an external IP of two Services), the first by name has it, whoever came first."""
        owners = self._owners.get(key)
        return owners[min(owners)] if owners else None

    def all(self) -> dict[K, V]:
        return {key: owners[min(owners)] for key, owners in self._owners.items()}


class RuleSet:
    """What should be in the kernel for one family under one set of options."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._servers = Owners[VirtualServer, Serving]()
        self._addresses = Owners[str, bool]()
        self._entries = Owners[Entry, bool]()
        self._denied = Owners[str, bool]()
        self._filled: Counter[str] = Counter()  # entries of each set

    def change(self, changes: Changes) -> Plan:
        """From the ports before to those after; the kernel holds what the ports before want."""
        plan = Plan()
        servers: dict[VirtualServer, Serving | None] = {}  # as they were before
        addresses: dict[str, bool] = {}
        entries: dict[Entry, bool] = {}
        for change in changes.values():
            before, after = (
                {sort_key(p): port_objects(p, self.options) for p in ports} for ports in (change.before, change.after)
            )
            for name in {**before, **after}:
                old, new = before.get(name, PortObjects()), after.get(name, PortObjects())
                for server in {**old.servers, **new.servers}:
                    servers.setdefault(server, self._servers.value(server))
                for address in old.addresses | new.addresses:
                    addresses.setdefault(address, bool(self._addresses.value(address)))
                for entry in old.entries | new.entries:
                    entries.setdefault(entry, bool(self._entries.value(entry)))
                self._replace(name, old, new)
        for server, former in servers.items():
            _server(plan, server, former, self._servers.value(server))
        for address, was in addresses.items():
            _toggled(address, was, bool(self._addresses.value(address)), plan.bound, plan.unbound)
        for entry, was in entries.items():
            _toggled(entry, was, bool(self._entries.value(entry)), plan.gained, plan.lost)
        self._count(plan)
        return plan

    def whole(self, services: Services, held: Held) -> Plan:
        """The first one: what all services want, against what the kernel holds."""
        for port in (port for own in services.values() for port in own):
            self._replace(sort_key(port), PortObjects(), port_objects(port, self.options))
        return self.against(held)

    def against(self, held: Held) -> Plan:
        """Whatever differs between what is wanted and what the kernel holds. Excluded virtual servers stay."""
        options, plan = self.options, Plan()
        desired, entries = self._servers.all(), self._entries.all()
        for server in {**held.servers, **desired}:
            if server in desired or not options.excludes(server.address):
                _server(plan, server, held.servers.get(server), desired.get(server))
        addresses = self._addresses.all()
        plan.bound, plan.unbound = sorted(addresses.keys() - held.addresses), sorted(held.addresses - addresses.keys())
        plan.sets = [name for name in sets.SETS if name not in held.entries]
        present = {Entry(name, text) for name, texts in held.entries.items() for text in texts}
        plan.gained, plan.lost = sorted(entries.keys() - present), sorted(present - entries.keys())
        self._filled = Counter(entry.set for entry in entries)
        return plan

    @property
    def chains(self) -> dict[str, Chains]:
        """Own chains of iptables, of each table."""
        filled = [name for name, number in self._filled.items() if number]
        return chains(self.options, filled, self._denied.all())

    def serving(self, server: VirtualServer) -> Serving | None:
        """What is wanted of it; None: nothing."""
        return self._servers.value(server)

    def _replace(self, name: PortKey, old: PortObjects, new: PortObjects) -> None:
        self._servers.disown(name, old.servers)
        self._servers.own(name, new.servers)
        for owners, before, after in (
            (self._addresses, old.addresses, new.addresses),
            (self._denied, old.denied, new.denied),
        ):
            owners.disown(name, before)
            owners.own(name, dict.fromkeys(after, True))
        self._entries.disown(name, old.entries)
        self._entries.own(name, dict.fromkeys(new.entries, True))

    def _count(self, plan: Plan) -> None:
        self._filled.update(entry.set for entry in plan.gained)
        self._filled.subtract(entry.set for entry in plan.lost)


def _server(plan: Plan, server: VirtualServer, before: Serving | None, after: Serving | None) -> None:
    if after is None:
        if before is not None:
            plan.gone.append(server)
        return
    if before is None:
        plan.new.append((server, after.service))
    elif before.service != after.service:
        plan.changed.append((server, after.service))
    real = before.real if before is not None else frozenset[RealServer]()
    plan.joining += [(server, each) for each in sorted(after.real - real, key=str)]
    plan.leaving += [(server, each) for each in sorted(real - after.real, key=str)]


def _toggled(key: K, before: bool, after: bool, gained: list[K], lost: list[K]) -> None:
    if before != after:
        (gained if after else lost).append(key)
