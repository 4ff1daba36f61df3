"""whoami: tells clients their own address, port and protocol (upstream: plugin/whoami)."""

from __future__ import annotations

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import AA, NOERROR, Answer, Query, address_record, srv_record

NAME = "whoami"


class WhoAmI(Plugin):
    """In additional records; the answer itself is empty."""

    name = NAME

    async def serve(self, query: Query) -> Answer:
        host, port = query.client
        owner = f"_{query.protocol}." if query.name == "." else f"_{query.protocol}.{query.name}"
        records = [address_record(query.name, host.partition("%")[0], 0), srv_record(owner, 0, 0, port, ".", 0)]
        return Answer(NOERROR, [], [], records, flags=AA, plugin=NAME)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if directive.arguments or directive.properties:
        raise directive.wrong_arguments()
    return WhoAmI()
