"""minimal: answers without what goes along with them (upstream: plugin/minimal)."""

from __future__ import annotations

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..responses import Kind, kind_of
from ..wire import Answer, Query

NAME = "minimal"


class Minimal(Plugin):
    """Denials, delegations and errors stay whole: their authority section is what they are about."""

    name = NAME

    async def serve(self, query: Query) -> Answer:
        answer = await self.next(query)
        if kind_of(answer, query.type) is Kind.NO_ERROR:
            answer.authority, answer.additional = [], []
        return answer


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if directive.arguments or directive.properties:
        raise directive.wrong_arguments()
    return Minimal()
