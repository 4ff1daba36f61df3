"""bind ADDRESS|INTERFACE...: listens on these addresses instead of all (upstream: plugin/bind)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from pybernetes.net import interfaces

from ..corefile import Directive
from ..plugin import BlockContext, Plugin

NAME = "bind"
EXCEPT = "except"


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """Has done its work when the file is read; several lines of one block add up. CorefileError."""
    present = _interfaces(directive)
    if not directive.arguments:
        raise directive.error("plugin/bind: at least one address or interface name is expected")
    without: list[str] = []
    for prop in directive.properties:
        if prop.name != EXCEPT:
            raise prop.error(f'plugin/bind: invalid option "{prop.name}"')
        if not prop.arguments:
            raise prop.error("plugin/bind: at least one address or interface must be given to except subdirective")
        without += _addresses(prop, present)
    chosen = [address for address in _addresses(directive, present) if address not in without]
    if not chosen:
        raise directive.error("plugin/bind: no address is left to listen on")
    block.hosts = list(dict.fromkeys([*filter(None, block.hosts), *chosen]))
    return None


def _interfaces(directive: Directive) -> Mapping[str, Sequence[str]]:
    """Addresses by the name of the interface, where one may be meant."""
    named = [word for line in (directive, *directive.properties) for word in line.arguments if _address(word) is None]
    if not named:
        return {}
    try:
        return interfaces.addresses()
    except OSError as error:
        raise directive.error(f"plugin/bind: {error.strerror or error}") from error


def _addresses(line: Directive, present: Mapping[str, Sequence[str]]) -> list[str]:
    listed: list[str] = []
    for word in line.arguments:
        address = _address(word)
        if address is None and word not in present:
            raise line.error(f'plugin/bind: not a valid IP address or interface name: "{word}"')
        listed += [address] if address is not None else present[word]
    return listed


def _address(word: str) -> str | None:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        return None
