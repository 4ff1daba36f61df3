"""bind ADDRESS: listens on one address instead of all (upstream: plugin/bind)."""

from __future__ import annotations

import ipaddress

from ..corefile import Directive
from ..plugin import BlockContext, Plugin

NAME = "bind"


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """Has done its work when the file is read. CorefileError."""
    directive.no_block()
    try:
        block.host = str(ipaddress.ip_address(directive.one()))
    except ValueError as error:
        raise directive.error(f"plugin/bind: {error}: only one address is taken, no interface names") from None
    return None
