"""file DBFILE [ZONES...]: answers from a master file (upstream: plugin/file).

Transfers are refused, as upstream's are without its plugin `transfer`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pybernetes.aio import apart
from pybernetes.aio.ending import end
from pybernetes.api.durations import format_duration, parse_duration

from .. import zonefile
from ..corefile import CorefileError, Directive
from ..plugin import BlockContext, Fall, Handler, Plugin, ServeError, fall_of, matching, nothing_left, zones_of
from ..wire import AA, AXFR, IXFR, NOERROR, NXDOMAIN, REFUSED, SERVFAIL, TC, Answer, Query
from ..zone import Outcome, Zone, ZoneError
from ..zonefile import ZoneFileError

_log = logging.getLogger(__name__)

NAME = "file"
RELOAD_SECONDS = 60.0

Stamp = tuple[tuple[int, int], ...]  # modification time and size of each file


@dataclass(slots=True)
class Loaded:
    """What was last read of a file."""

    zone: Zone
    files: list[Path]
    stamp: Stamp


@dataclass(slots=True)
class FileOptions:
    """The directive."""

    file: Path
    zones: list[str]
    fall: Fall = field(default_factory=Fall)
    reload: float = RELOAD_SECONDS
    by_mtime: bool = False


class File(Plugin):
    """All `file` directives of a block. Reads a file again when it has changed, and takes it when its serial has."""

    name = NAME

    def __init__(self, options: FileOptions, block: BlockContext) -> None:
        super().__init__()
        self.files = [options]
        self._lookup = block.lookup
        self._loaded: dict[str, Loaded] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """CorefileError for a file that is no zone; one that cannot be opened may still come."""
        for options in self.files:
            for origin in options.zones:
                try:
                    self._loaded[origin] = await load(options.file, origin)
                except OSError as error:
                    problem = f"open {options.file}: {error.strerror}"
                    if not options.reload:
                        raise CorefileError(f"plugin/file: {problem}") from None
                    _log.warning(
                        "plugin/file: Failed to open %r: trying again in %s", problem, format_duration(options.reload)
                    )
                except (ZoneFileError, ZoneError) as error:
                    raise CorefileError(f"plugin/file: {_failed(options.file, origin, error)}") from None

    async def start(self) -> None:
        self._tasks = [asyncio.ensure_future(self._watch(options)) for options in self.files if options.reload]

    async def stop(self) -> None:
        await end(*self._tasks)

    async def _watch(self, options: FileOptions) -> None:
        while True:
            await self.clock.sleep(options.reload)
            await self.reread(options)

    async def reread(self, options: FileOptions) -> None:
        """What cannot be read is told in the log, and the old zone goes on."""
        for origin in options.zones:
            fresh = await reloaded(options.file, origin, self._loaded.get(origin), options.by_mtime)
            if fresh is not None:
                self._loaded[origin] = fresh

    async def serve(self, query: Query) -> Answer:
        origin = matching(query.key, [origin for options in self.files for origin in options.zones])
        if not origin:
            return await _behind(self.next, query)
        loaded = self._loaded.get(origin)
        if loaded is None:
            return Answer(SERVFAIL, plugin=NAME)
        fall = next(options.fall for options in self.files if origin in options.zones)
        answer = await answer_from(loaded.zone, query, self._lookup, NAME)
        if answer is None or (not answer.answer and answer.rcode == NXDOMAIN and fall.through(query.key)):
            return await self.next(query)
        return answer


async def _behind(handler: Handler, query: Query) -> Answer:
    """A block that has nothing else is authoritative for its zones only."""
    return Answer(REFUSED, plugin=NAME) if handler is nothing_left else await handler(query)


async def answer_from(zone: Zone, query: Query, lookup: Handler, plugin: str) -> Answer:
    """What the zone says; names that lead out of it are asked of the whole server."""
    if query.type in (AXFR, IXFR):
        return Answer(REFUSED, plugin=plugin)
    reply = zone.lookup(query.name, query.type)
    if reply.outcome is Outcome.LOOP:
        return Answer(SERVFAIL, plugin=plugin)
    answer = Answer(NOERROR, reply.answer, reply.authority, reply.additional, flags=AA, plugin=plugin)
    if reply.outcome is Outcome.NO_NAME:
        answer.rcode = NXDOMAIN
    elif reply.outcome is Outcome.DELEGATION and not reply.answer:
        answer.flags = 0
    if reply.leads_to:
        await _follow(zone, query, reply.leads_to, lookup, answer)
    return answer


async def _follow(zone: Zone, query: Query, target: str, lookup: Handler, answer: Answer) -> None:
    """The code is the target's (RFC 6604)."""
    elsewhere = Answer(SERVFAIL)
    with contextlib.suppress(ServeError):
        elsewhere = await lookup(query.asking(target, query.type))
    answer.answer = [*answer.answer, *elsewhere.answer]
    answer.flags |= elsewhere.flags & TC
    if elsewhere.rcode in (NXDOMAIN, SERVFAIL):
        answer.rcode = elsewhere.rcode
    if elsewhere.rcode == NXDOMAIN or (elsewhere.rcode == NOERROR and not elsewhere.answer):
        answer.authority = zone.soa


async def load(file: Path, origin: str) -> Loaded:
    """ZoneFileError, ZoneError, OSError."""
    size = file.stat().st_size

    def read() -> Loaded:
        before = _stamp([file])
        records, files = zonefile.read(file, origin)
        return Loaded(Zone(origin, records), files, before + _stamp(files[1:]))

    return await apart.run(size, read)


async def reloaded(file: Path, origin: str, old: Loaded | None, by_mtime: bool = False) -> Loaded | None:
    """The zone if it is another one: by its serial, or, where asked for, by the time of its files. None: the old one goes on."""
    try:
        if old is not None and _stamp(old.files) == old.stamp:
            return None
        fresh = await load(file, origin)
    except OSError as error:
        _log.error("plugin/file: Failed to open zone %r in %r: %s", origin, str(file), error.strerror)
        return None
    except (ZoneFileError, ZoneError) as error:
        _log.error("plugin/file: Parsing zone %r: %s", origin, _failed(file, origin, error))
        return None
    if old is not None and fresh.zone.serial == old.zone.serial and not by_mtime:
        return None
    _log.info(
        "plugin/file: Successfully reloaded zone %r in %r with %d SOA serial", origin, str(file), fresh.zone.serial
    )
    return fresh


def _failed(file: Path, origin: str, error: ZoneFileError | ZoneError) -> str:
    if isinstance(error, ZoneError):
        return f'file "{file}" {error}'
    return f'failed to parse file "{file}" for origin {origin} with error {error}'


def _stamp(files: Sequence[Path]) -> Stamp:
    states = [file.stat() for file in files]
    return tuple((state.st_mtime_ns, state.st_size) for state in states)


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """All of a block's files are one plugin: the first directive's. CorefileError."""
    options = parse(directive, block)
    for plugin in block.plugins:
        if isinstance(plugin, File):
            plugin.files.append(options)
            return None
    return File(options, block)


def parse(directive: Directive, block: BlockContext) -> FileOptions:
    """The directive and its properties. CorefileError."""
    if not directive.arguments:
        raise directive.wrong_arguments()
    options = FileOptions(Path(directive.arguments[0]), zones_of(directive.arguments[1:], block))
    for prop in directive.properties:
        if prop.name == "fallthrough":
            options.fall = fall_of(prop)
        elif prop.name == "reload":
            options.reload = reload_seconds(prop)
        elif prop.name == "reload_by_mtime":
            options.by_mtime = True
        elif prop.name != "upstream":  # of old files; upstream ignores it, too
            raise prop.error(f"plugin/file: unknown property '{prop.name}'")
    return options


def reload_seconds(prop: Directive) -> float:
    """CorefileError."""
    if not prop.arguments:
        raise prop.error("plugin/file: reload duration value is expected")
    try:
        interval = parse_duration(prop.arguments[0])
    except ValueError as error:
        raise prop.error(f"plugin/file: {error}") from None
    if interval < 0:
        raise prop.error("plugin/file: invalid duration")
    return interval
