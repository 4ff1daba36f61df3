"""The cluster's addresses and node ports: which are free, taking and giving back (upstream: core/service/ipallocator, portallocator).

Whoever makes the key has the address or the port: both are written with "must not exist" as precondition, so several API servers may
share one store, and nothing is kept in memory beside the watch cache. An address is an IPAddress object, as upstream's; a port is a key
below `ranges/servicenodeports/` whose value names its service. What a crash leaves behind is put right by `repair`.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.wellknown import IP_ADDRESS_LABEL_FAMILY, IP_ADDRESS_LABEL_MANAGED_BY
from pybernetes.component.metrics import Registry
from pybernetes.store.types import Conflict

from ..generic.cache import Stored, WatchCache
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..kinds.validation import parse_ip
from ..resource import Object
from . import families, ranges
from .index import Index
from .metrics import AllocatorMetrics
from .ranges import Network, Span
from .records import ADDRESSES, MANAGED_BY, PORTS, may_be_of, owner, reference, refers, usable

MAX_DIGITS = 5
PORT = 0  # ports are of one kind, addresses of two


class Pool:
    """`default`: the networks of --service-cluster-ip-range, the first one's family is the default."""

    def __init__(
        self,
        cache: WatchCache,
        addresses: GenericStore,
        default: Sequence[Network],
        ports: Span,
        chooser: random.Random | None = None,
    ) -> None:
        self._cache, self._addresses, self._default = cache, addresses, tuple(default)
        self._ranges = cache.of("networking.k8s.io", "servicecidrs")
        self._given, self._given_ports = cache.of(*ADDRESSES), cache.of(*PORTS)
        self._taken, self._taken_ports = Index(self._given, _address), Index(self._given_ports, _port)
        self.ports = ports
        self._random = chooser or random.Random()
        self.metrics: AllocatorMetrics | None = None

    def measure(self, registry: Registry) -> None:
        """Counts what is given from now on."""

        def networks() -> list[Network]:
            return [network for family in self.configured for network in self.networks(family)]

        self.metrics = AllocatorMetrics(
            registry,
            networks,
            lambda network: self._taken.of(network.version).count(ranges.addresses(network)),
            lambda: len(self._given_ports.items),
            self.ports,
        )

    # The cluster's ranges.

    @property
    def configured(self) -> list[str]:
        """IP families of the cluster, the default one first."""
        return [f"IPv{network.version}" for network in self._default]

    def networks(self, family: str) -> list[Network]:
        """Of one family: the default first, then those of ready ServiceCIDRs."""
        networks = [network for network in self._default if f"IPv{network.version}" == family]
        for stored in self._ranges.items.values():
            if usable(stored.obj):
                parsed = [ipaddress.ip_network(text) for text in stored.obj["spec"].get("cidrs") or ()]
                networks += [n for n in parsed if f"IPv{n.version}" == family and n not in networks]
        return networks

    def network_of(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Network | None:
        """The range that an address lies in."""
        return next((n for n in self.networks(f"IPv{address.version}") if address in n), None)

    def free_addresses(self, network: Network) -> Iterator[str]:
        """Those that nobody is known to have."""
        make: Callable[[int], Any] = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
        numbers = self._taken.of(network.version).free(ranges.addresses(network), self._random)
        return (str(make(number)) for number in numbers)

    def free_ports(self) -> Iterator[int]:
        """Those that nobody is known to have."""
        return self._taken_ports.of(PORT).free(self.ports, self._random)

    def port_taken(self, number: int) -> bool:
        """As far as the cache knows."""
        return f"{self._given_ports.prefix}{number}" in self._given_ports.items

    # Taking and giving back.

    async def take_address(self, text: str, service: Object) -> bool:
        """False: another has it."""
        labels = {
            IP_ADDRESS_LABEL_FAMILY: families.family_of(text),
            IP_ADDRESS_LABEL_MANAGED_BY: MANAGED_BY,
        }
        ip_address = {"metadata": {"name": text, "labels": labels}, "spec": {"parentRef": reference(service)}}
        try:
            await self._addresses.create(ip_address, "", WriteOptions(admission=False))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        return True

    async def take_port(self, number: int, service: Object) -> bool:
        """False: another has it."""
        metadata = {"name": str(number), "creationTimestamp": self._addresses.now_text()}
        value = msgspec.json.encode({"metadata": metadata, "service": owner(service)})
        try:
            written = await self._cache.store.put(f"{self._given_ports.prefix}{number}", value, 0)
        except Conflict:
            return False
        await self._cache.wait(written.mod_revision)
        return True

    async def release(self, service: Object, addresses: Iterable[str], ports: Iterable[int]) -> None:
        """Gives back what is the service's own; what belongs to another meanwhile stays."""
        for text in addresses:
            parsed = parse_ip(text)
            stored = self._given.items.get(f"{self._given.prefix}{parsed}")
            if stored is not None and refers(stored.obj["spec"].get("parentRef"), service):
                await self.forget(stored)
        for number in ports:
            stored = self._given_ports.items.get(f"{self._given_ports.prefix}{number}")
            if stored is not None and may_be_of(stored.obj, service):
                await self.forget(stored)

    async def forget(self, stored: Stored) -> None:
        """Deletes the key, if it still is what was seen."""
        try:
            event = await self._cache.store.delete(stored.key, stored.revision)
        except Conflict:
            return  # it has another owner now
        if event is not None:
            await self._cache.wait(event.revision)


def _address(name: str) -> tuple[int, int] | None:
    parsed = parse_ip(name)
    return (parsed.version, int(parsed)) if parsed is not None else None


def _port(name: str) -> tuple[int, int] | None:
    return (PORT, int(name)) if name.isascii() and name.isdigit() and len(name) <= MAX_DIGITS else None
