"""autopath [ZONES...] RESOLV-CONF|@kubernetes: walks the client's search list for it (upstream: plugin/autopath).

A pod that asks for example.org.default.svc.cluster.local gets the answer for example.org at once, behind an alias that makes it one to
its question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..corefile import Directive
from ..plugin import BlockContext, Plugin, matching, zones_of
from ..resolvconf import search_list
from ..wire import CNAME, FORMERR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL, Answer, Query, joined, name_record, within

NAME = "autopath"
WALKS_ON = frozenset({NXDOMAIN, SERVFAIL, REFUSED, FORMERR, NOTIMP})


@runtime_checkable
class AutoPather(Protocol):
    """A plugin that knows the search lists of clients."""

    def autopath(self, query: Query) -> Sequence[str]:
        """Zones in order; "" is the name as it is, and the last. Empty: this client has none."""
        ...


class AutoPath(Plugin):
    """Where every name of the list is denied the first denial is the answer, and the client walks on by itself."""

    name = NAME

    def __init__(self, zones: Sequence[str], search: Sequence[str], plugin: str, block: BlockContext) -> None:
        super().__init__()
        self._zones, self._search, self._plugin, self._block = zones, search, plugin, block
        self._source: AutoPather | None = None

    async def prepare(self) -> None:
        """The plugin that is named stands further back in the chain."""
        for plugin in self._block.plugins:
            if plugin.name == self._plugin and isinstance(plugin, AutoPather):
                self._source = plugin

    async def serve(self, query: Query) -> Answer:
        if not matching(query.key, self._zones):
            return await self.next(query)
        search = self._source.autopath(query) if self._source is not None else self._search
        if not search or not within(query.key, search[0]):
            return await self.next(query)
        return await self._walk(query, search)

    async def _walk(self, query: Query, search: Sequence[str]) -> Answer:
        base = query.name[: len(query.name) - len(search[0])].removesuffix(".")
        if not base:
            return await self.next(query)
        first: Answer | None = None
        for zone in search:
            asked = query.asking(joined(base, zone or "."), query.type)
            answer = await self.next(asked)
            if answer.rcode not in WALKS_ON:
                self._block.metrics.autopath_successes.inc(self._block.server)
                return aliased(query, answer)
            first = first or answer
        assert first is not None  # the list is not empty
        return first


def aliased(query: Query, answer: Answer) -> Answer:
    """With an alias from the name that was asked for to that of the first record."""
    first = next((record for record in answer.answer if record.name.lower() != query.key), None)
    if first is None:
        return answer
    alias = name_record(query.name, CNAME, first.name, first.ttl)
    return replace(answer, answer=[alias, *answer.answer])


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    if not directive.arguments:
        raise directive.error("plugin/autopath: no resolv-conf specified")
    *zones, source = directive.arguments
    plugin, search = "", list[str]()
    if source.startswith("@"):
        plugin = source[1:]
        if plugin != "kubernetes":
            raise directive.error(f"plugin/autopath: {plugin} does not implement the AutoPather interface")
    else:
        try:
            search = [*search_list(Path(source)), ""]
        except OSError as error:
            raise directive.error(f'plugin/autopath: failed to parse "{source}": {error.strerror}') from None
    return AutoPath(zones_of(zones, block), search, plugin, block)
