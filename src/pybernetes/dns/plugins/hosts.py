"""hosts [FILE [ZONES...]]: answers from a hosts file and from lines in the Corefile (upstream: plugin/hosts)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from dataclasses import dataclass, field
from pathlib import Path

from pybernetes.api.durations import parse_duration

from ..corefile import Directive
from ..plugin import BlockContext, Fall, Plugin, fall_of, matching, zones_of
from ..wire import AA, AAAA, NOERROR, PTR, SERVFAIL, A, Answer, Query, address_of_reverse, address_record, name_record

_log = logging.getLogger(__name__)

NAME = "hosts"
FILE = "/etc/hosts"
TTL = 3600
RELOAD_SECONDS = 5.0
MAX_FILE = 16 << 20  # characters; what comes behind them is not read


@dataclass(slots=True)
class Table:
    """Addresses of names, and names of addresses."""

    by_name: dict[str, list[str]] = field(default_factory=dict)
    by_address: dict[str, list[str]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Lines of a hosts file; what is no address is skipped."""
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if len(words) < 2:
                continue
            try:
                address = str(ipaddress.ip_address(words[0].partition("%")[0]))
            except ValueError:
                continue
            for name in (f"{word.rstrip('.')}.".lower() for word in words[1:]):
                self.by_name.setdefault(name, []).append(address)
                self.by_address.setdefault(address, []).append(name)


@dataclass(slots=True)
class HostsOptions:
    """The directive."""

    file: str
    zones: list[str]
    inline: str = ""
    fall: Fall = field(default_factory=Fall)
    fall_unsupported: bool = False  # of types other than A, AAAA and PTR, whatever names are here
    ttl: int = TTL
    reverse: bool = True
    reload: float = RELOAD_SECONDS


class Hosts(Plugin):
    """Reads the file again when it has changed."""

    name = NAME

    def __init__(self, options: HostsOptions) -> None:
        super().__init__()
        self._options = options
        self._table = Table()
        self._stamp: tuple[float, int] | None = None
        self._task: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        self.read()

    async def start(self) -> None:
        if self._options.reload:
            self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(self._options.reload)
            self.read()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def read(self) -> None:
        """A file that is not there has no names."""
        stamp, text = (0.0, -1), ""
        try:
            status = Path(self._options.file).stat()
            stamp = (status.st_mtime, status.st_size)
            if stamp == self._stamp:
                return
            with Path(self._options.file).open(errors="replace") as stream:
                text = stream.read(MAX_FILE)
        except OSError as error:
            if stamp == self._stamp:
                return
            _log.warning("plugin/hosts: %s: %s", self._options.file, error.strerror)
        self._stamp = stamp
        table = Table()
        table.add(text)
        table.add(self._options.inline)
        self._table = table

    async def serve(self, query: Query) -> Answer:
        options = self._options
        ip = address_of_reverse(query.key) if query.type == PTR and options.reverse else ""
        if ip:
            names = self._table.by_address.get(ip, [])
            if names:
                return Answer(
                    NOERROR, [name_record(query.name, PTR, n, options.ttl) for n in names], flags=AA, plugin=NAME
                )
            return await self.next(query)
        if not matching(query.key, options.zones):
            return await self.next(query)
        through = options.fall.through(query.key)
        if through and options.fall_unsupported and query.type not in (A, AAAA, PTR):
            return await self.next(query)
        addresses = self._table.by_name.get(query.key, [])
        records = [address_record(query.name, ip, options.ttl) for ip in addresses]
        answers = [record for record in records if record.type == query.type and query.type in (A, AAAA)]
        # A name that is here exists, whatever else is asked about it.
        if answers or addresses:
            return Answer(NOERROR, answers, flags=AA, plugin=NAME)
        if through:
            return await self.next(query)
        return Answer(SERVFAIL, remembered=False)  # no NXDOMAIN, for there is no SOA to say for how long


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if any(isinstance(plugin, Hosts) for plugin in block.plugins):
        raise directive.error("plugin/hosts: this plugin can only be used once per Server Block")
    return Hosts(parse(directive, block))


def parse(directive: Directive, block: BlockContext) -> HostsOptions:
    """The directive and its properties. CorefileError."""
    file = directive.arguments[0] if directive.arguments else FILE
    options = HostsOptions(file, zones_of(directive.arguments[1:], block))
    for prop in directive.properties:
        if prop.name == "fallthrough":
            options.fall = fall_of(prop)
        elif prop.name == "fallthrough_unsupported":
            if prop.arguments:
                raise prop.wrong_arguments()
            options.fall_unsupported = True
        elif prop.name == "no_reverse":
            options.reverse = False
        elif prop.name == "ttl":
            text = prop.one()
            if not text.isdigit() or not 0 < int(text) <= 65535:
                raise prop.error(f"plugin/hosts: ttl provided is invalid: {text}")
            options.ttl = int(text)
        elif prop.name == "reload":
            options.reload = _reload(prop)
        elif options.fall.zones:  # lines come before it, as upstream's
            raise prop.error(f"plugin/hosts: unknown property '{prop.name}'")
        else:
            options.inline += " ".join([prop.name, *prop.arguments]) + "\n"
    if options.fall_unsupported and not options.fall.zones:
        raise directive.error("plugin/hosts: fallthrough_unsupported requires fallthrough")
    return options


def _reload(prop: Directive) -> float:
    text = prop.one()
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise prop.error(f"plugin/hosts: invalid duration for reload '{text}'") from None
    if seconds < 0:
        raise prop.error(f"plugin/hosts: invalid negative duration for reload '{text}'")
    return seconds
