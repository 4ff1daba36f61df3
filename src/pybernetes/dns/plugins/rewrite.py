"""rewrite [continue|stop] RULE: asks another question, and turns the answer back (upstream: plugin/rewrite; rules: `rewriting`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .. import wire
from ..corefile import Directive
from ..plugin import BlockContext, Plugin, ServeError
from ..rewriting import Alias, Rule, RuleError, Turn, rule
from ..rewritingedns import edns_rule
from ..wire import CNAME, SERVFAIL, TC, Answer, Query, WireError

NAME = "rewrite"


class Rewrite(Plugin):
    """All rules of a block in their order. Each is tried once a query: none can lead in a circle."""

    name = NAME

    def __init__(self, rules: Sequence[Rule], block: BlockContext) -> None:
        super().__init__()
        self.rules = list(rules)
        self._lookup = block.lookup

    async def serve(self, query: Query) -> Answer:
        asked, turns = query, list[Turn | Alias]()
        for each in self.rules:
            rewritten = each.apply(asked)
            if rewritten is None:
                continue
            asked = rewritten.query
            _check(asked)
            turns += rewritten.turns
            if each.stop:
                break
        if asked is query and not turns:
            return await self.next(query)
        try:
            answer = await self.next(asked)
        except (ServeError, WireError):
            answer = Answer(SERVFAIL)
            for turn in reversed(turns):
                answer = answer if isinstance(turn, Alias) else turn(answer)
            if answer.rcode == SERVFAIL:
                raise
            return answer  # a rule for codes makes something else of it
        for turn in reversed(turns):
            answer = await self._turn_alias(turn, asked, answer) if isinstance(turn, Alias) else turn(answer)
        return answer

    async def _turn_alias(self, alias: Alias, asked: Query, answer: Answer) -> Answer:
        """The chain up to the first alias that matches; then its other target and what the whole server says of that."""
        for place, record in enumerate(answer.answer):
            if record.type != CNAME:
                continue
            target = alias.change(wire.read_name(record.data, 0)[0])
            if target is None:
                continue
            try:
                elsewhere = await self._lookup(asked.asking(wire.absolute(target), asked.type))
                turned = wire.name_record(record.name, CNAME, target, record.ttl)
            except (ServeError, WireError):
                return answer
            aliases = [each for each in answer.answer[:place] if each.type == CNAME]
            flags = answer.flags & ~TC | elsewhere.flags & TC
            return replace(answer, answer=[*aliases, turned, *elsewhere.answer], flags=flags)
        return answer


def _check(query: Query) -> None:
    try:
        wire.name_bytes(query.name)
    except WireError as error:
        raise ServeError(f"invalid name after rewrite: {query.name}") from error


def rule_of(directive: Directive) -> Rule:
    """Its words may be in braces. CorefileError."""
    words = list(directive.arguments)
    if len(words) < 2:
        words += [word for prop in directive.properties for word in (prop.name, *prop.arguments)]
    elif directive.properties:
        raise directive.error("plugin/rewrite: braces follow a rule of more than one word")
    try:
        return rule(words, edns_rule)
    except RuleError as error:
        raise directive.error(f"plugin/rewrite: {error}") from None


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """All of a block's rules are one plugin: the first directive's. CorefileError."""
    for plugin in block.plugins:
        if isinstance(plugin, Rewrite):
            plugin.rules.append(rule_of(directive))
            return None
    return Rewrite([rule_of(directive)], block)
