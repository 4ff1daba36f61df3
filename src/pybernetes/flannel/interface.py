"""Which interface carries packets to the other hosts (upstream: pkg/ipmatch/match.go)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from pybernetes.api import goregexp
from pybernetes.net.routes import Link

from .lease import Address


class InterfaceError(ValueError):
    """No interface is as it was asked for; one line for the user."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for, tried in this order: names or addresses, patterns, what leads to an address; without any, the default route's."""

    interfaces: Sequence[str] = ()
    patterns: Sequence[str] = ()
    can_reach: str = ""
    public_ip: str = ""
    public_ipv6: str = ""
    ipv6: bool = False  # an address of this family is needed, too


@dataclass(frozen=True, slots=True)
class External:
    """The interface, its own address, and the one by which other hosts reach it (another behind a NAT)."""

    index: int
    name: str
    mtu: int
    address: Address
    public_ip: Address
    ipv6_address: IPv6Address | None = None
    public_ipv6: IPv6Address | None = None

    def ipv6(self) -> External:
        """As it is for IPv6. Only where that was asked for."""
        assert self.ipv6_address is not None and self.public_ipv6 is not None
        return External(self.index, self.name, self.mtu, self.ipv6_address, self.public_ipv6)


def choose(
    selection: Selection, links: Sequence[Link], default_device: int, way_to: Callable[[str], tuple[int, str]]
) -> External:
    """`default_device` is the index of the default route's link, 0 for none; `way_to` gives device and source address. InterfaceError."""
    if not (selection.interfaces or selection.patterns or selection.can_reach):
        try:
            place = _named(selection.public_ip, links) if selection.public_ip else _default(links, default_device)
        except InterfaceError as error:
            raise InterfaceError(f"Failed to find any valid interface to use: {error}") from None
        return _external(selection, *place)
    problems = []
    for attempt in _attempts(selection, links, way_to):
        try:
            return _external(selection, *attempt())
        except InterfaceError as error:
            problems.append(str(error))
    raise InterfaceError(
        f"Failed to find interface to use that matches the interfaces and/or regexes provided: {'; '.join(problems)}"
    )


Place = tuple[Link, str]


def _attempts(
    selection: Selection, links: Sequence[Link], way_to: Callable[[str], tuple[int, str]]
) -> list[Callable[[], Place]]:
    attempts: list[Callable[[], Place]] = [partial(_named, name, links) for name in selection.interfaces]
    attempts += [partial(_matching, pattern, links) for pattern in selection.patterns]
    if selection.can_reach:
        attempts.append(partial(_reaching, selection.can_reach, links, way_to))
    return attempts


def _named(name: str, links: Sequence[Link]) -> Place:
    if _is_address(name):
        for link in links:
            if name in link.addresses:
                return link, name
        raise InterfaceError(f"error looking up interface {name}: no interface with given IP found")
    for link in links:
        if link.name == name:
            return _first(link)
    raise InterfaceError(f"error looking up interface {name}: no such network interface")


def _matching(pattern: str, links: Sequence[Link]) -> Place:
    """By an address before any by name."""
    try:
        regular = goregexp.compile(pattern)
    except ValueError as error:
        raise InterfaceError(f"could not compile the IP address regex '{pattern}': {error}") from None
    for link in links:
        for address in link.addresses:
            if regular.search(address):
                return link, address
    for link in links:
        if regular.search(link.name):
            return _first(link)
    available = ", ".join(f"{link.name}:[{' '.join(link.addresses)}]" for link in links)
    raise InterfaceError(f"could not match pattern {pattern} to any of the available network interfaces ({available})")


def _reaching(address: str, links: Sequence[Link], way_to: Callable[[str], tuple[int, str]]) -> Place:
    if not _is_address(address):
        raise InterfaceError(f"failed to get ifcanreach based interface: {address} is no IPv4 address")
    index, source = way_to(address)
    for link in links:
        if link.index == index and source in link.addresses:
            return link, source
    raise InterfaceError("failed to get ifcanreach based interface: no interface with given IP found")


def _default(links: Sequence[Link], index: int) -> Place:
    for link in links:
        if link.index == index:
            return _first(link)
    raise InterfaceError("failed to get default interface: unable to find default route")


def _first(link: Link) -> Place:
    if not link.addresses:
        raise InterfaceError(f"failed to find IPv4 address for interface {link.name}")
    return link, link.addresses[0]


def _external(selection: Selection, link: Link, address: str) -> External:
    if not link.mtu:
        raise InterfaceError(f"failed to determine MTU for {address} interface")
    if selection.public_ip and not _is_address(selection.public_ip):
        raise InterfaceError(f"invalid public IP address: {selection.public_ip}")
    public_ip = IPv4Address(selection.public_ip or address)
    ipv6 = _ipv6(selection, link) if selection.ipv6 else (None, None)
    return External(link.index, link.name, link.mtu, IPv4Address(address), public_ip, *ipv6)


def _ipv6(selection: Selection, link: Link) -> tuple[IPv6Address, IPv6Address]:
    """The link's first address, and the one that others reach."""
    if not link.ipv6_addresses:
        raise InterfaceError(f"failed to find IPv6 address for interface {link.name}")
    own = IPv6Address(link.ipv6_addresses[0])
    try:
        return own, IPv6Address(selection.public_ipv6) if selection.public_ipv6 else own
    except ValueError:
        raise InterfaceError(f"invalid public IPv6 address: {selection.public_ipv6}") from None


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
