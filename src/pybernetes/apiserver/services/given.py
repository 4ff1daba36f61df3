"""What one write of a Service is given, and what it frees (see `generic.allocation.Allocation`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..kinds.validation import parse_ip
from ..resource import Object
from . import ranges
from .metrics import DYNAMIC, STATIC
from .pool import Pool

DRY_RUN_PORT = 32769  # what a dry run shows where no number was asked for

ALLOCATED_IP = "provided IP is already allocated"
OTHER_NETWORK = "the provided network does not match the current range"
ALLOCATED_PORT = "provided port is already allocated"
FULL = "range is full"


class Unavailable(Exception):
    """An address or a port that cannot be given: why."""


@dataclass
class Given:
    """Exactly one of `commit` and `revert` is called, once."""

    pool: Pool
    service: Object
    dry_run: bool
    addresses: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    freed_addresses: list[str] = field(default_factory=list)
    freed_ports: list[int] = field(default_factory=list)

    async def commit(self) -> None:
        if not self.dry_run:
            await self.pool.release(self.service, self.freed_addresses, self.freed_ports)

    async def revert(self) -> None:
        if not self.dry_run:
            await self.pool.release(self.service, self.addresses, self.ports)

    # Ports.

    async def port(self, number: int) -> None:
        """The very one; Unavailable."""
        span = self.pool.ports
        if number not in span:
            self._count_port(STATIC, failed=True)
            text = f"{span.first}-{span.last}"
            raise Unavailable(f"provided port is not in the valid range. The range of valid ports is {text}")
        taken = number in self.ports or (self.dry_run and self.pool.port_taken(number))
        if taken or not (self.dry_run or await self.pool.take_port(number, self.service)):
            self._count_port(STATIC, failed=True)
            raise Unavailable(ALLOCATED_PORT)
        self.ports.append(number)
        self._count_port(STATIC)

    async def any_port(self) -> int:
        """A free one; Unavailable."""
        if self.dry_run:
            number = max(self.ports) + 1 if self.ports else DRY_RUN_PORT
            self.ports.append(number)
            return number
        for number in self.pool.free_ports():
            if await self.pool.take_port(number, self.service):
                self.ports.append(number)
                self._count_port(DYNAMIC)
                return number
        self._count_port(DYNAMIC, failed=True)
        raise Unavailable(FULL)

    def _count_port(self, scope: str, *, failed: bool = False) -> None:
        metrics = self.pool.metrics
        if metrics is not None and not self.dry_run:
            (metrics.port_errors if failed else metrics.ports).inc(scope)

    # Addresses.

    async def address(self, text: str) -> str:
        """The very one; Unavailable."""
        parsed = parse_ip(text)
        assert parsed is not None, "validated before"
        network = self.pool.network_of(parsed)
        if network is None:
            raise Unavailable(OTHER_NETWORK)
        if int(parsed) not in ranges.addresses(network):
            self._count_address(str(network), STATIC, failed=True)
            why = f"the provided IP ({parsed}) is not in the valid range. The range of valid IPs is {network}"
            raise Unavailable(why)
        if not self.dry_run:
            if not await self.pool.take_address(str(parsed), self.service):
                self._count_address(str(network), STATIC, failed=True)
                raise Unavailable(ALLOCATED_IP)
            self.addresses.append(str(parsed))
            self._count_address(str(network), STATIC)
        return text

    async def any_address(self, family: str) -> str:
        """A free one; Unavailable."""
        networks = self.pool.networks(family)
        if self.dry_run and networks:
            return str(networks[0].network_address)
        for network in networks:
            for text in self.pool.free_addresses(network):
                if await self.pool.take_address(text, self.service):
                    self.addresses.append(text)
                    self._count_address(str(network), DYNAMIC)
                    return text
            self._count_address(str(network), DYNAMIC, failed=True)
        raise Unavailable(FULL)

    def _count_address(self, network: str, scope: str, *, failed: bool = False) -> None:
        metrics = self.pool.metrics
        if metrics is not None and not self.dry_run:
            (metrics.address_errors if failed else metrics.addresses).inc(network, scope)
