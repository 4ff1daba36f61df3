"""cache [TTL] [ZONES...]: remembers answers and denials (upstream: plugin/cache)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pybernetes.aio.clock import Clock
from pybernetes.api.durations import parse_duration

from ..corefile import Directive, normalized
from ..plugin import BlockContext, Plugin, matching, zones_of
from ..wire import AA, NOERROR, NXDOMAIN, SERVFAIL, SOA, TC, Answer, Query

NAME = "cache"
SUCCESS_TTL, DENIAL_TTL, SERVFAIL_TTL = 3600, 1800, 5  # seconds at most
MIN_TTL = 5
CAPACITY = 9984
SMALLEST_CAPACITY = 1024
LONGEST_SERVFAIL = 300

Key = tuple[str, int, bool]


@dataclass(slots=True)
class Shelf:
    """One kind of answers: its bounds, and the zones that are left out."""

    max_ttl: int
    min_ttl: int = MIN_TTL
    capacity: int = CAPACITY
    disabled: list[str] = field(default_factory=list)
    items: dict[Key, Item] = field(default_factory=dict)


@dataclass(slots=True)
class Item:
    """An answer and how long it holds."""

    answer: Answer
    stored: float
    ttl: int


@dataclass(slots=True)
class CacheOptions:
    """The directive."""

    zones: list[str]
    success: Shelf = field(default_factory=lambda: Shelf(SUCCESS_TTL))
    denial: Shelf = field(default_factory=lambda: Shelf(DENIAL_TTL))
    servfail: int = SERVFAIL_TTL
    keep_ttl: bool = False


class Cache(Plugin):
    """Time is of a clock that only goes forward."""

    name = NAME

    def __init__(self, options: CacheOptions, block: BlockContext, clock: Clock | None = None) -> None:
        super().__init__()
        self._options, self._metrics = options, block.metrics
        self.clock = clock or block.clock
        self._shelves = (("success", options.success), ("denial", options.denial))
        self._labels = (block.server, ",".join(options.zones), "")
        block.metrics.cache_sizes[self._labels] = self.entries

    async def stop(self) -> None:
        if self._metrics.cache_sizes.get(self._labels) == self.entries:
            del self._metrics.cache_sizes[self._labels]

    def entries(self) -> dict[tuple[str, ...], float]:
        """Sizes, by the labels of the metric."""
        server, zones, view = self._labels
        return {(server, kind, zones, view): len(shelf.items) for kind, shelf in self._shelves}

    async def serve(self, query: Query) -> Answer:
        if not matching(query.key, self._options.zones):
            return await self.next(query)
        key = (query.key, query.type, query.dnssec)
        now = self.clock.monotonic()
        self._metrics.cache_requests.inc(*self._labels)
        for kind, shelf in self._shelves:
            item = shelf.items.get(key)
            if item is not None:
                left = item.ttl - int(now - item.stored)
                if left > 0:
                    server, zones, view = self._labels
                    self._metrics.cache_hits.inc(server, kind, zones, view)
                    ttl = item.ttl if self._options.keep_ttl else left
                    answer = item.answer
                    return Answer(
                        answer.rcode, answer.answer, answer.authority, answer.additional, answer.flags | AA, ttl, NAME
                    )
                del shelf.items[key]
        self._metrics.cache_misses.inc(*self._labels)
        answer = await self.next(query)
        self._store(key, answer)
        return answer

    def _store(self, key: Key, answer: Answer) -> None:
        """Remembers it if it may be; bounds of its TTL hold for the first client, too."""
        kind = kind_of(answer)
        if kind is None:
            return
        shelf = self._options.success if kind == "success" else self._options.denial
        ttl = min(max(lifetime(answer), shelf.min_ttl), shelf.max_ttl)
        if answer.rcode == SERVFAIL:
            ttl = self._options.servfail
        if ttl <= 0:
            return
        answer.ttl = ttl
        if matching(key[0], shelf.disabled):
            return
        if len(shelf.items) >= shelf.capacity and key not in shelf.items:
            shelf.items.pop(next(iter(shelf.items)))
            server, zones, view = self._labels
            self._metrics.cache_evictions.inc(server, kind, zones, view)
        shelf.items[key] = Item(replace(answer), self.clock.monotonic(), ttl)


def kind_of(answer: Answer) -> str | None:
    """success, denial, or None for what is not remembered (upstream: plugin/pkg/response.Typify)."""
    if answer.flags & TC:
        return None
    if answer.rcode == SERVFAIL:
        return "denial"
    has_soa = any(record.type == SOA for record in answer.authority)
    if answer.rcode == NXDOMAIN and has_soa:
        return "denial"
    if answer.rcode == NOERROR:
        return "success" if answer.answer else "denial" if has_soa else None
    return None


def lifetime(answer: Answer) -> int:
    """The shortest TTL of its records; of a denial also the SOA's minimum."""
    records = [*answer.answer, *answer.authority, *answer.additional]
    ttls = [record.ttl for record in records]
    if answer.rcode == NXDOMAIN or not answer.answer:
        ttls += [int.from_bytes(record.data[-4:], "big") for record in answer.authority if record.type == SOA]
    return min(ttls, default=MIN_TTL)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    return Cache(parse(directive, block), block)


def parse(directive: Directive, block: BlockContext) -> CacheOptions:
    """The directive and its properties. CorefileError."""
    arguments = list(directive.arguments)
    options = CacheOptions([])
    if arguments and arguments[0].isdigit():
        ttl = int(arguments.pop(0))
        if ttl == 0:
            raise directive.error("plugin/cache: cache TTL can not be zero or negative: 0")
        options.success.max_ttl = options.denial.max_ttl = ttl
    options.zones = zones_of(arguments, block)
    for prop in directive.properties:
        _property(prop, options)
    for shelf in (options.success, options.denial):
        shelf.min_ttl = min(shelf.min_ttl, shelf.max_ttl)
    return options


def _property(prop: Directive, options: CacheOptions) -> None:
    arguments = prop.arguments
    shelves = {"success": options.success, "denial": options.denial}
    if prop.name in shelves and 1 <= len(arguments) <= 3 and all(a.isdigit() for a in arguments):
        shelf = shelves[prop.name]
        shelf.capacity = max(int(arguments[0]), SMALLEST_CAPACITY)
        if len(arguments) > 1:
            shelf.max_ttl = int(arguments[1])
        if len(arguments) > 2:
            shelf.min_ttl = int(arguments[2])
    elif prop.name == "servfail" and len(arguments) == 1:
        options.servfail = _servfail(prop)
    elif prop.name == "disable" and arguments and arguments[0] in shelves:
        zones = [zone for argument in arguments[1:] for zone in normalized(argument)]
        shelves[arguments[0]].disabled += zones or ["."]
    elif prop.name == "keepttl" and not arguments:
        options.keep_ttl = True
    elif prop.name in ("prefetch", "serve_stale"):
        raise prop.error(f"plugin/cache: {prop.name} is not there")
    elif prop.name in (*shelves, "servfail", "disable", "keepttl"):
        raise prop.wrong_arguments()
    else:
        raise prop.error(f"plugin/cache: unknown property '{prop.name}'")


def _servfail(prop: Directive) -> int:
    try:
        seconds = parse_duration(prop.one())
    except ValueError as error:
        raise prop.error(f"plugin/cache: {error}") from None
    if not 0 <= seconds <= LONGEST_SERVFAIL:
        raise prop.error(f"plugin/cache: caching SERVFAIL responses over {LONGEST_SERVFAIL} seconds is not permitted")
    return int(seconds)
