"""errors { consolidate PERIOD REGEXP [LEVEL] [show_first] }: logs why a query could not be answered (upstream: plugin/errors)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pybernetes.aio.clock import Cancellable
from pybernetes.api import goregexp
from pybernetes.api.durations import format_duration, parse_duration

from ..corefile import Directive
from ..plugin import MAX_REGEXP, BlockContext, Plugin, ServeError
from ..wire import SERVFAIL, Answer, Query, WireError, type_name

_log = logging.getLogger(__name__)

NAME = "errors"
LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "info": logging.INFO, "debug": logging.DEBUG}


@dataclass(slots=True)
class Pattern:
    """Errors that are counted for so long, and told in one line then."""

    period: float
    text: str
    pattern: goregexp.Pattern
    level: int = logging.ERROR
    show_first: bool = False
    count: int = 0
    timer: Cancellable | None = None


class Errors(Plugin):
    """One line an error, or a period; the client gets SERVFAIL."""

    name = NAME
    repeats = True

    def __init__(self, patterns: list[Pattern] | None = None) -> None:
        super().__init__()
        self._patterns = patterns or []

    async def stop(self) -> None:
        for pattern in self._patterns:
            if pattern.timer is not None:
                pattern.timer.cancel()
                self._tell(pattern)

    async def serve(self, query: Query) -> Answer:
        try:
            return await self.next(query)
        except (ServeError, WireError) as error:
            self._failed(query, str(error))
            return Answer(SERVFAIL)

    def _failed(self, query: Query, text: str) -> None:
        level = logging.ERROR
        for pattern in self._patterns:
            if pattern.pattern.search(text):
                if self._counted(pattern):
                    return
                level = pattern.level
                break
        _log.log(level, "plugin/errors: %d %s %s: %s", SERVFAIL, query.name, type_name(query.type), text)

    def _counted(self, pattern: Pattern) -> bool:
        """Whether that is all that is done with this one."""
        pattern.count += 1
        if pattern.count > 1:
            return True
        pattern.timer = self.clock.call_later(pattern.period, lambda: self._tell(pattern))
        return not pattern.show_first

    def _tell(self, pattern: Pattern) -> None:
        count, pattern.count, pattern.timer = pattern.count, 0, None
        if count > 1 or (count and not pattern.show_first):
            period = format_duration(pattern.period)
            text = "plugin/errors: %d errors like '%s' occurred in last %s"
            _log.log(pattern.level, text, count, pattern.text, period)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if any(isinstance(plugin, Errors) for plugin in block.plugins):
        raise directive.error("plugin/errors: this plugin can only be used once per Server Block")
    if len(directive.arguments) > 1:
        raise directive.wrong_arguments()
    if directive.arguments not in ([], ["stdout"]):
        raise directive.error(f"invalid log file: {directive.arguments[0]}")
    patterns = []
    for prop in directive.properties:
        if prop.name == "consolidate":
            patterns.append(_consolidate(prop))
        elif prop.name != "stacktrace":  # unexpected errors have theirs always
            raise prop.error(f"Unknown field {prop.name}")
    return Errors(patterns)


def _consolidate(prop: Directive) -> Pattern:
    words = prop.arguments
    if not 2 <= len(words) <= 4:
        raise prop.wrong_arguments()
    if len(words[1]) > MAX_REGEXP:
        raise prop.error(f"regex pattern too long: {len(words[1])} > {MAX_REGEXP}")
    try:
        pattern = Pattern(parse_duration(words[0]), words[1], goregexp.compile(words[1]))
    except (ValueError, goregexp.RegexpError) as error:
        raise prop.error(str(error)) from None
    level = ""
    for word in words[2:]:
        if word in LEVELS:
            if level:
                raise prop.error("multiple log levels specified in consolidate")
            if pattern.show_first:
                raise prop.error("log level must come before show_first in consolidate")
            level, pattern.level = word, LEVELS[word]
        elif word == "show_first":
            pattern.show_first = True
        else:
            raise prop.error(f"unknown option in consolidate: {word}")
    return pattern
