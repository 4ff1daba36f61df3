"""errors: logs why a query could not be answered (upstream: plugin/errors)."""

from __future__ import annotations

import logging

from ..corefile import Directive
from ..plugin import BlockContext, Plugin, ServeError
from ..wire import SERVFAIL, Answer, Query, WireError, type_name

_log = logging.getLogger(__name__)

NAME = "errors"


class Errors(Plugin):
    """One line an error; the client gets SERVFAIL."""

    name = NAME

    async def serve(self, query: Query) -> Answer:
        try:
            return await self.next(query)
        except (ServeError, WireError) as error:
            _log.error("plugin/errors: %d %s %s: %s", SERVFAIL, query.name, type_name(query.type), error)
            return Answer(SERVFAIL)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if directive.arguments not in ([], ["stdout"], ["stderr"]):
        raise directive.wrong_arguments()
    for prop in directive.properties:
        raise prop.error(f"plugin/errors: property '{prop.name}' is not there")
    return Errors()
