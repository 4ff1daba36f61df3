"""any: answers questions for everything with one HINFO record (RFC 8482; upstream: plugin/any)."""

from __future__ import annotations

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import ANY, HINFO, NOERROR, Answer, Query, Record

NAME = "any"
TTL = 8482
DATA = b"".join(bytes((len(text),)) + text for text in (b"ANY obsoleted", b"See RFC 8482"))


class Any(Plugin):
    """A small answer to a small question: of no use to who amplifies."""

    name = NAME

    async def serve(self, query: Query) -> Answer:
        if query.type != ANY:
            return await self.next(query)
        return Answer(NOERROR, [Record(query.name, HINFO, TTL, DATA)], plugin=NAME)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if directive.arguments:
        raise directive.wrong_arguments()
    for prop in directive.properties:
        raise prop.error(f"plugin/any: unknown property '{prop.name}'")
    return Any()
