"""auto [ZONES...] { directory DIR [REGEXP ORIGIN_TEMPLATE] }: a zone for each file of a folder (upstream: plugin/auto)."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pybernetes.aio.ending import end
from pybernetes.api import goregexp

from ..corefile import Directive, normalized
from ..plugin import MAX_REGEXP, BlockContext, Plugin, matching, nothing_left, zones_of
from ..wire import REFUSED, Answer, Query, absolute
from ..zone import ZoneError
from ..zonefile import ZoneFileError
from .file import RELOAD_SECONDS, Loaded, answer_from, load, reload_seconds, reloaded

_log = logging.getLogger(__name__)

NAME = "auto"
REGEXP, TEMPLATE = r"db\.(.*)", "{1}"
MAX_FILES = 10_000  # that a folder is looked through for
_PLACE = re.compile(r"\$?\{([0-9]{1,3})\}")


@dataclass(slots=True)
class AutoOptions:
    """The directive."""

    zones: list[str]
    directory: Path | None = None
    pattern: goregexp.Pattern | None = None
    template: str = TEMPLATE
    reload: float = RELOAD_SECONDS


class Auto(Plugin):
    """Looks through the folder now and then: new files are new zones, those that are gone are no more."""

    name = NAME

    def __init__(self, options: AutoOptions, block: BlockContext) -> None:
        super().__init__()
        self._options, self._lookup = options, block.lookup
        self._zones: dict[str, tuple[Path, Loaded]] = {}
        self._task: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        await self.walk()

    async def start(self) -> None:
        if self._options.reload:
            self._task = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        await end(self._task)

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(self._options.reload)
            await self.walk()

    async def walk(self) -> None:
        """Makes the zones those of the folder."""
        files: dict[str, Path] = {}
        for path in self._files():
            origin = self._origin(path.name)
            if origin and files.setdefault(origin, path) != path:
                text = "plugin/auto: Multiple zone files match origin %r: using %r instead of %r"
                _log.warning(text, origin, str(files[origin]), str(path))
        for origin in [origin for origin in self._zones if origin not in files]:
            del self._zones[origin]
            _log.info("plugin/auto: Deleting zone `%s'", origin)
        for origin, path in files.items():
            old_path, old = self._zones.get(origin, (path, None))
            if old is None:
                try:
                    self._zones[origin] = (path, await load(path, origin))
                except (ZoneFileError, ZoneError, OSError) as error:
                    _log.warning("plugin/auto: Parse zone `%s': %s", origin, error)
                    continue
                _log.info("plugin/auto: Inserting zone `%s' from: %s", origin, path)
            else:
                fresh = await reloaded(path, origin, old if path == old_path else None)
                if fresh is not None:
                    self._zones[origin] = (path, fresh)

    def _files(self) -> Iterator[Path]:
        """In the order of their names; folders in it are looked through, too."""
        count = 0
        for folder, folders, names in os.walk(self._options.directory or ""):
            folders.sort()
            for name in sorted(names):
                count += 1
                if count > MAX_FILES:
                    _log.warning(
                        "plugin/auto: %s has more than %d files: the rest is left out",
                        self._options.directory,
                        MAX_FILES,
                    )
                    return
                yield Path(folder, name)

    def _origin(self, name: str) -> str:
        """ "" for a file that is no zone's."""
        pattern = self._options.pattern or goregexp.compile(REGEXP)
        groups = pattern.groups(name)
        if groups is None:
            return ""
        text = _PLACE.sub(
            lambda place: groups[int(place[1])] if int(place[1]) < len(groups) else "", self._options.template
        )
        return normalized(absolute(text))[0] if text else ""

    async def serve(self, query: Query) -> Answer:
        origin = matching(query.key, list(self._zones)) if matching(query.key, self._options.zones) else ""
        if not origin:
            return Answer(REFUSED, plugin=NAME) if self.next is nothing_left else await self.next(query)
        return await answer_from(self._zones[origin][1].zone, query, self._lookup, NAME)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    return Auto(parse(directive, block), block)


def parse(directive: Directive, block: BlockContext) -> AutoOptions:
    """The directive and its properties. CorefileError."""
    options = AutoOptions(zones_of(directive.arguments, block))
    for prop in directive.properties:
        if prop.name == "directory":
            _directory(prop, options)
        elif prop.name == "reload":
            options.reload = reload_seconds(prop)
        elif prop.name != "upstream":
            raise prop.error(f"plugin/auto: unknown property '{prop.name}'")
    if options.directory is None:
        raise directive.wrong_arguments()  # without a folder there is nothing to serve
    return options


def _directory(prop: Directive, options: AutoOptions) -> None:
    if len(prop.arguments) not in (1, 3):
        raise prop.wrong_arguments()
    options.directory = Path(prop.arguments[0])
    if not options.directory.exists():
        _log.warning("plugin/auto: Directory does not exist: %s", options.directory)
    if len(prop.arguments) == 3:
        pattern = prop.arguments[1]
        if len(pattern) > MAX_REGEXP:
            raise prop.error("plugin/auto: regexp too large")
        try:
            options.pattern = goregexp.compile(pattern)
        except goregexp.RegexpError as error:
            raise prop.error(f"plugin/auto: {error}") from None
        if options.pattern.subexpressions == 0:
            raise prop.error("plugin/auto: Need at least one sub expression")
        options.template = prop.arguments[2]
