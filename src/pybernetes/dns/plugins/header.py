"""header { query|response set|clear FLAGS... }: changes the flags aa, ra and rd (upstream: plugin/header)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import AA, RA, RD, Answer, Query

NAME = "header"
FLAGS = {"aa": AA, "ra": RA, "rd": RD}


@dataclass(slots=True)
class Flags:
    """What is set and what is cleared; of a flag that is in several rules the last one counts."""

    set: int = 0
    clear: int = 0

    def change(self, action: str, flag: int) -> None:
        """One more rule."""
        self.set, self.clear = self.set & ~flag, self.clear & ~flag
        if action == "set":
            self.set |= flag
        else:
            self.clear |= flag


class Header(Plugin):
    """Flags of queries on their way to the next plugins, and of answers on their way back."""

    name = NAME

    def __init__(self, of_query: Flags, of_response: Flags) -> None:
        super().__init__()
        self._query, self._response = of_query, of_response

    async def serve(self, query: Query) -> Answer:
        rules = self._query
        if rules.set or rules.clear:
            query = replace(query, flags=query.flags & ~rules.clear | rules.set)
        answer = await self.next(query)
        rules = self._response
        answer.flags = answer.flags & ~rules.clear | rules.set
        answer.cleared = answer.cleared & ~rules.set | rules.clear
        return answer


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    rules = {"query": Flags(), "response": Flags()}
    if not directive.properties or directive.arguments:
        raise directive.wrong_arguments()
    for prop in directive.properties:
        selector, words = prop.name.lower(), prop.arguments
        if selector not in rules:
            text = f"invalid selector={selector} should be query or response"
            raise prop.error(f"plugin/header: setting up rule: {text}")
        _check(prop)
        for word in words[1:]:
            rules[selector].change(words[0].lower(), FLAGS[word.lower()])
    return Header(rules["query"], rules["response"])


def _check(prop: Directive) -> None:
    """CorefileError."""
    text, words = "", prop.arguments
    unknown = [word for word in words[1:] if word.lower() not in FLAGS]
    if not words:
        text = "no flag action provided"
    elif len(words) == 1:
        text = "invalid length for flags, at least one should be provided"
    elif words[0].lower() not in ("set", "clear"):
        text = f"unknown flag action={words[0].lower()}, should be set or clear"
    elif unknown:
        text = f"unknown/unsupported flag={unknown[0].lower()}"
    if text:
        raise prop.error(f"plugin/header: setting up rule: {text}")
