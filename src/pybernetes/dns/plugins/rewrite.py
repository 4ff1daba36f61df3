"""rewrite [continue|stop] name [exact|prefix|suffix|substring|regex] FROM TO [answer auto]: asks for another name (upstream: plugin/rewrite)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pybernetes.api import goregexp

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import Answer, Query, Record, absolute

NAME = "rewrite"
_GROUP = re.compile(r"\{([0-9]{1,3})\}")
KINDS = ("exact", "prefix", "suffix", "substring", "regex")


@dataclass(frozen=True, slots=True)
class Rule:
    """`change` gives the new name, None where the rule does not match; `stop`: the last rule then."""

    change: Callable[[str], str | None]
    stop: bool


class Rewrite(Plugin):
    """Names of answers are the ones that were asked for, so that clients find their question answered."""

    name = NAME

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__()
        self.rules = list(rules)

    async def serve(self, query: Query) -> Answer:
        key = query.key
        for rule in self.rules:
            changed = rule.change(key)
            if changed is not None:
                key = changed
                if rule.stop:
                    break
        if key == query.key:
            return await self.next(query)
        answer = await self.next(query.asking(key, query.type))

        def back(record: Record) -> Record:
            return replace(record, name=query.name) if record.name.lower() == key else record

        return replace(answer, answer=[back(r) for r in answer.answer], additional=[back(r) for r in answer.additional])


def rule_of(directive: Directive) -> Rule:
    """CorefileError."""
    words = list(directive.arguments)
    stop = True
    if words and words[0] in ("stop", "continue"):
        stop = words.pop(0) == "stop"
    if not words or words.pop(0) != "name":
        raise directive.error("plugin/rewrite: only rules for names are there: rewrite name ...")
    kind = words.pop(0) if words and words[0] in KINDS else "exact"
    if words[2:] not in ([], ["answer", "auto"]) or len(words) < 2:
        raise directive.wrong_arguments()
    old, new = words[0].lower(), words[1].lower()
    if kind in ("exact", "suffix"):
        old, new = absolute(old), absolute(new)
    try:
        return Rule(_change(kind, old, new), stop)
    except goregexp.RegexpError as error:
        raise directive.error(f"plugin/rewrite: invalid regular expression {old!r}: {error}") from None


def _change(kind: str, old: str, new: str) -> Callable[[str], str | None]:
    if kind == "exact":
        return lambda key: new if key == old else None
    if kind == "prefix":
        return lambda key: new + key[len(old) :] if key.startswith(old) else None
    if kind == "suffix":
        return lambda key: key[: len(key) - len(old)] + new if key.endswith(old) else None
    if kind == "substring":
        return lambda key: key.replace(old, new) if old in key else None
    pattern = goregexp.compile(old)

    def by_pattern(key: str) -> str | None:
        groups = pattern.groups(key)
        if groups is None:
            return None
        return absolute(_GROUP.sub(lambda place: groups[int(place[1])] if int(place[1]) < len(groups) else "", new))

    return by_pattern


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """All of a block's rules are one plugin: the first directive's. CorefileError."""
    for plugin in block.plugins:
        if isinstance(plugin, Rewrite):
            plugin.rules.append(rule_of(directive))
            return None
    return Rewrite([rule_of(directive)])
