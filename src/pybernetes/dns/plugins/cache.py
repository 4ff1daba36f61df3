"""cache [TTL] [ZONES...]: remembers answers and denials (upstream: plugin/cache)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api.durations import parse_duration

from ..corefile import Directive, normalized
from ..plugin import BlockContext, Plugin, ServeError, in_task, matching, zones_of
from ..responses import DENIALS, MIN_TTL, Kind, answers, has_soa, kind_of, lifetime
from ..wire import AA, AD, CD, MAX_TCP_BYTES, NOERROR, NXDOMAIN, SERVFAIL, TC, Answer, Query, WireError

NAME = "cache"
SUCCESS_TTL, DENIAL_TTL, SERVFAIL_TTL = 3600, 1800, 5  # seconds at most
CAPACITY = 9984
SMALLEST_CAPACITY, LARGEST_CAPACITY = 1024, 10_000_000
LONGEST_SERVFAIL, LONGEST_RECHECK = 300, 300
STALE_SECONDS = 3600.0

T = TypeVar("T")
Key = tuple[str, int, int, bool, bool]  # name, type, class, DO, CD


@dataclass(slots=True)
class Item:
    """An answer and how long it holds."""

    answer: Answer
    stored: float
    ttl: int
    answering: bool = True  # it has what was asked for
    hits: int = 0  # with no pause longer than the option's duration (prefetch)
    last_hit: float = 0.0
    refreshing: bool = False
    retry_at: float = 0.0  # after a refresh that failed
    last_good: Item | None = None  # what a non-answer has taken the place of

    def left(self, now: float) -> int:
        """Seconds that it still holds; zero or less: it is stale."""
        return self.ttl - int(now - self.stored)


@dataclass(slots=True)
class Shelf:
    """One kind of answers: its bounds, and the zones that are left out."""

    max_ttl: int
    min_ttl: int = MIN_TTL
    capacity: int = CAPACITY
    disabled: list[str] = field(default_factory=list)
    items: dict[Key, Item] = field(default_factory=dict)


@dataclass(slots=True)
class Prefetch:
    """Of answers that were asked for `amount` times; in the last `percentage` of their time."""

    amount: int = 0
    duration: float = 60.0
    percentage: int = 10


@dataclass(slots=True)
class Stale:
    """For how long answers go on being given out after their time, and how that is checked before."""

    up_to: float = 0.0
    verify: bool = False
    timeout: float = 0.0  # of the check; 0: as long as it takes
    ttl: int = 0
    recheck: float = 0.0
    prefer_positive: bool = False


@dataclass(slots=True)
class CacheOptions:
    """The directive."""

    zones: list[str]
    success: Shelf = field(default_factory=lambda: Shelf(SUCCESS_TTL))
    denial: Shelf = field(default_factory=lambda: Shelf(DENIAL_TTL))
    servfail: int = SERVFAIL_TTL
    keep_ttl: bool = False
    prefetch: Prefetch = field(default_factory=Prefetch)
    stale: Stale = field(default_factory=Stale)


class Cache(Plugin):
    """Time is of a clock that only goes forward."""

    name = NAME

    def __init__(self, options: CacheOptions, block: BlockContext, clock: Clock | None = None) -> None:
        super().__init__()
        self._options, self._metrics = options, block.metrics
        self.clock = clock or block.clock
        self._shelves = (("success", options.success), ("denial", options.denial))
        self._labels = (block.server, ",".join(options.zones), "")
        self._success_labels = (block.server, "success", ",".join(options.zones), "")
        self._all = "." in options.zones
        self._simple = not (options.keep_ttl or options.prefetch.amount or options.stale.prefer_positive)
        self._tasks: set[asyncio.Task[Any]] = set()
        block.metrics.cache_sizes[self._labels] = self.entries

    async def stop(self) -> None:
        await end(*self._tasks)
        if self._metrics.cache_sizes.get(self._labels) == self.entries:
            del self._metrics.cache_sizes[self._labels]

    def entries(self) -> dict[tuple[str, ...], float]:
        """Sizes, by the labels of the metric."""
        server, zones, view = self._labels
        return {(server, kind, zones, view): len(shelf.items) for kind, shelf in self._shelves}

    async def serve(self, query: Query) -> Answer:
        if not self._all and not matching(query.key, self._options.zones):
            return await self.next(query)
        key = (query.key, query.type, query.cls, query.dnssec, bool(query.flags & CD))
        now = self.clock.monotonic()
        self._metrics.cache_requests.inc(*self._labels)
        item = self._options.success.items.get(key)
        if item is not None and self._simple and key not in self._options.denial.items:
            left = item.ttl - int(now - item.stored)
            if left > 0:  # what nearly every query is
                self._metrics.cache_hits.inc(*self._success_labels)
                answer = self._answer(query, item, left)
                answer.same_until, answer.again = item.stored + item.ttl - left + 1, (self._hit_again,)
                return answer
        item = self._lookup(key, now)
        if item is None:
            self._metrics.cache_misses.inc(*self._labels)
            answer = await self.next(query)
            self._store(key, answer)
            return self._of_client(query, answer)
        left = item.left(now)
        if left > 0:
            if self._options.prefetch.amount and self._due(item, left, now):
                self._refresh_later(key, query, item, stale=False)
            return self._answer(query, item, item.ttl if self._options.keep_ttl else left)
        return await self._stale(key, query, item, now)

    def _lookup(self, key: Key, now: float) -> Item | None:
        """A denial before an answer, but a failure after it; what is too old is none."""
        stale = self._options.stale
        if stale.prefer_positive:
            item = self._usable(self._options.success, key, now)
            item = item if item is None or item.answering else item.last_good
            if item is not None and item.left(now) > -stale.up_to:
                return self._hit("success", item)
        denial = self._usable(self._options.denial, key, now)
        if denial is not None and denial.answer.rcode != SERVFAIL:
            return self._hit("denial", denial)
        success = self._usable(self._options.success, key, now)
        if success is not None:
            return self._hit("success", success)
        return self._hit("denial", denial) if denial is not None else None

    def _usable(self, shelf: Shelf, key: Key, now: float) -> Item | None:
        item = shelf.items.get(key)
        if item is None:
            return None
        left = item.left(now)
        if left > 0 or -left < self._options.stale.up_to:
            return item
        del shelf.items[key]
        return None

    def _hit_again(self, times: int, length: int) -> None:
        self._metrics.cache_requests.inc(*self._labels, by=times)
        self._metrics.cache_hits.inc(*self._success_labels, by=times)

    def _hit(self, kind: str, item: Item) -> Item:
        server, zones, view = self._labels
        self._metrics.cache_hits.inc(server, kind, zones, view)
        return item

    def _answer(self, query: Query, item: Item, ttl: int) -> Answer:
        """AA, since some old resolvers take nothing else (upstream's reason)."""
        stored = item.answer
        flags = stored.flags | AA
        if not query.dnssec and not query.flags & AD:
            flags &= ~AD
        return Answer(stored.rcode, stored.answer, stored.authority, stored.additional, flags, ttl, NAME)

    def _of_client(self, query: Query, answer: Answer) -> Answer:
        if answer.flags & AD and not query.dnssec and not query.flags & AD:
            answer.flags &= ~AD  # who did not ask for it may not be able to make sense of it
        return answer

    def _due(self, item: Item, left: int, now: float) -> bool:
        """Whether it is asked for so often, and its end so near, that it is fetched anew."""
        prefetch = self._options.prefetch
        item.hits = item.hits + 1 if item.last_hit >= now - prefetch.duration else 1
        item.last_hit = now
        return item.hits >= prefetch.amount and left <= math.ceil(prefetch.percentage / 100 * item.ttl)

    async def _stale(self, key: Key, query: Query, item: Item, now: float) -> Answer:
        stale = self._options.stale
        if stale.verify and self._may_refresh(item, now):
            item.refreshing = stale.recheck > 0
            fresh = await self._verified(key, query, item)
            if fresh is not None:
                return fresh
        elif not stale.verify:
            self._refresh_later(key, query, item, stale=True)
        self._metrics.cache_stale.inc(*self._labels)
        return self._answer(query, item, item.ttl if self._options.keep_ttl and not stale.ttl else stale.ttl)

    def _may_refresh(self, item: Item, now: float) -> bool:
        return not item.refreshing and now >= item.retry_at

    async def _verified(self, key: Key, query: Query, item: Item) -> Answer | None:
        """The new answer if one can be had in time; the check goes on afterwards."""
        timeout = self._options.stale.timeout
        if not timeout:
            return await self._fresh(key, query, item)
        await in_task()
        task = self._keep(self._fresh(key, query, item))
        try:
            async with self.clock.timeout(timeout):
                return await asyncio.shield(task)
        except TimeoutError:
            return None

    async def _fresh(self, key: Key, query: Query, item: Item) -> Answer | None:
        """What the next plugins say, if it is a reason to forget the old answer (RFC 8767 section 4)."""
        answer: Answer | None = None
        try:
            answer = await self.next(replace(query, answered=None))
        except (ServeError, WireError):
            answer = None
        refreshed = answer is not None and self._replaces(key, answer)
        if answer is not None and (refreshed or self._options.stale.prefer_positive):
            self._store(key, answer)
        self._ended(item, refreshed)
        return self._of_client(query, answer) if refreshed and answer is not None else None

    def _replaces(self, key: Key, answer: Answer) -> bool:
        if answer.flags & TC:
            return False
        if self._options.stale.prefer_positive:
            return answer.rcode == NOERROR and answers(answer.answer, key[0], key[1])
        return answer.rcode in (NOERROR, NXDOMAIN) and kind_of(answer, key[1]) not in (Kind.OTHER_ERROR, Kind.META)

    def _ended(self, item: Item, refreshed: bool) -> None:
        item.refreshing = False
        recheck = self._options.stale.recheck
        item.retry_at = self.clock.monotonic() + recheck if recheck and not refreshed else 0.0

    def _refresh_later(self, key: Key, query: Query, item: Item, stale: bool) -> None:
        """In the background, once at a time; over TCP, so that nothing is cut off."""
        if not self._may_refresh(item, self.clock.monotonic()):
            return
        item.refreshing = True
        self._metrics.cache_prefetches.inc(*self._labels)
        asked = replace(query, answered=None, protocol="tcp", size=MAX_TCP_BYTES, flags=query.flags | AD)
        self._keep(self._refresh(key, asked, item, stale))

    async def _refresh(self, key: Key, query: Query, item: Item, stale: bool) -> bool:
        refreshed = False
        try:
            answer = await self.next(query)
            refreshed = self._replaces(key, answer) if stale else True
            if refreshed or self._options.stale.prefer_positive:
                self._store(key, answer)
        except (ServeError, WireError):
            refreshed = False
        finally:
            self._ended(item, refreshed or not stale)
        fresh = self._options.denial.items.get(key) or self._options.success.items.get(key)
        if fresh is not None and refreshed:
            fresh.hits, fresh.last_hit = item.hits, item.last_hit
        return refreshed

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _store(self, key: Key, answer: Answer) -> None:
        """Remembers it if it may be; bounds of its TTL hold for the first client, too."""
        kind = kind_of(answer, key[1])
        answering = kind is not Kind.NO_ERROR or not answer.answer or answers(answer.answer, key[0], key[1])
        if not answering and has_soa(answer):
            kind = Kind.NO_DATA
        denial = kind in DENIALS
        shelf = self._options.denial if denial or kind is Kind.SERVER_ERROR else self._options.success
        ttl = min(max(lifetime(answer, denial), shelf.min_ttl), shelf.max_ttl)
        if kind is Kind.DELEGATION:
            ttl = min(max(MIN_TTL, shelf.min_ttl), shelf.max_ttl)
        if kind is Kind.SERVER_ERROR:
            ttl = self._options.servfail
        if answer.flags & TC or kind in (Kind.OTHER_ERROR, Kind.META) or answer.silent or not answer.remembered:
            return
        if kind is Kind.NAME_ERROR and not has_soa(answer):
            return  # nobody knows for how long
        if kind is Kind.NO_ERROR and not answering:
            return  # an alias that leads nowhere
        if ttl <= 0:
            return
        answer.ttl = ttl
        if matching(key[0], shelf.disabled):
            return
        item = Item(replace(answer, options=None, cleared=0), self.clock.monotonic(), ttl)
        self._put(key, shelf, item, answers(answer.answer, key[0], key[1]))

    def _put(self, key: Key, shelf: Shelf, item: Item, answering: bool) -> None:
        success = shelf is self._options.success
        prefer = self._options.stale.prefer_positive
        if success:
            item.answering = answering or not prefer
            before = shelf.items.get(key)
            if prefer and not answering and before is not None:
                item.last_good = before if before.answering else before.last_good
            if answering or not prefer:
                self._options.denial.items.pop(key, None)  # an older denial would hide it
        if len(shelf.items) >= shelf.capacity and key not in shelf.items:
            shelf.items.pop(next(iter(shelf.items)))
            server, zones, view = self._labels
            self._metrics.cache_evictions.inc(server, "success" if success else "denial", zones, view)
        shelf.items[key] = item


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if any(isinstance(plugin, Cache) for plugin in block.plugins):
        raise directive.error("plugin/cache: this plugin can only be used once per Server Block")
    return Cache(parse(directive, block), block)


def parse(directive: Directive, block: BlockContext) -> CacheOptions:
    """The directive and its properties. CorefileError."""
    arguments = list(directive.arguments)
    options = CacheOptions([])
    if arguments and _is_integer(arguments[0]):
        ttl = int(arguments.pop(0))
        if ttl <= 0:
            raise directive.error(f"plugin/cache: cache TTL can not be zero or negative: {ttl}")
        options.success.max_ttl = options.denial.max_ttl = min(ttl, 1 << 31)
    options.zones = zones_of(arguments, block)
    for prop in directive.properties:
        _property(prop, options)
    policies = [prop for prop in directive.properties if prop.name == "serve_stale_policy"]
    if len(policies) > 1:
        raise policies[1].error("plugin/cache: serve_stale_policy can only be specified once")
    if policies and not any(prop.name == "serve_stale" for prop in directive.properties):
        raise policies[0].error("plugin/cache: serve_stale_policy requires serve_stale")
    for shelf in (options.success, options.denial):
        shelf.min_ttl = min(shelf.min_ttl, shelf.max_ttl)
    return options


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) < 19


def _integer(prop: Directive, text: str) -> int:
    if not _is_integer(text):
        raise prop.error(f'plugin/cache: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _property(prop: Directive, options: CacheOptions) -> None:
    arguments = prop.arguments
    shelves = {"success": options.success, "denial": options.denial}
    if prop.name in shelves and arguments:
        _shelf(prop, shelves[prop.name])
    elif prop.name == "servfail" and len(arguments) == 1:
        options.servfail = _servfail(prop)
    elif prop.name == "disable" and arguments:
        if arguments[0] not in shelves:
            raise prop.error('plugin/cache: cache type for disable must be "success" or "denial"')
        zones = [zone for argument in arguments[1:] for zone in normalized(argument)]
        shelves[arguments[0]].disabled = zones or ["."]
    elif prop.name == "keepttl" and not arguments:
        options.keep_ttl = True
    elif prop.name == "prefetch" and 1 <= len(arguments) <= 3:
        options.prefetch = _prefetch(prop)
    elif prop.name == "serve_stale" and len(arguments) <= 5:
        options.stale = _serve_stale(prop, options.stale)
    elif prop.name == "serve_stale_policy" and len(arguments) == 1:
        if arguments[0].lower() != "prefer_positive":
            raise prop.error(f"plugin/cache: invalid serve_stale_policy: {arguments[0]}")
        options.stale.prefer_positive = True
    else:
        raise prop.wrong_arguments()


def _shelf(prop: Directive, shelf: Shelf) -> None:
    numbers = [_integer(prop, text) for text in prop.arguments[:3]]
    shelf.capacity = min(max(numbers[0], SMALLEST_CAPACITY), LARGEST_CAPACITY)
    if len(numbers) > 1:
        if numbers[1] <= 0:
            raise prop.error(f"plugin/cache: cache TTL can not be zero or negative: {numbers[1]}")
        shelf.max_ttl = min(numbers[1], 1 << 31)
    if len(numbers) > 2:
        if numbers[2] < 0:
            raise prop.error(f"plugin/cache: cache min TTL can not be negative: {numbers[2]}")
        shelf.min_ttl = numbers[2]


def _prefetch(prop: Directive) -> Prefetch:
    words = prop.arguments
    prefetch = Prefetch(_integer(prop, words[0]))
    if prefetch.amount < 0:
        raise prop.error(f"plugin/cache: prefetch amount should be positive: {prefetch.amount}")
    if len(words) > 1:
        prefetch.duration = _seconds(prop, words[1])
    if len(words) > 2:
        if not words[2].endswith("%"):
            raise prop.error(f"plugin/cache: last character of percentage should be `%`, but is: {words[2][-1:]!r}")
        prefetch.percentage = _integer(prop, words[2][:-1])
        if not 10 <= prefetch.percentage <= 90:
            raise prop.error(f"plugin/cache: percentage should fall in range [10, 90]: {prefetch.percentage}")
    return prefetch


def _serve_stale(prop: Directive, before: Stale) -> Stale:
    """[DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]"""
    words = list(prop.arguments)
    stale = Stale(STALE_SECONDS, prefer_positive=before.prefer_positive)
    if words:
        stale.up_to = _seconds(prop, words.pop(0))
        if stale.up_to < 0:
            raise prop.error("plugin/cache: invalid negative duration for serve_stale")
    if words:
        mode = words.pop(0).lower()
        if mode not in ("immediate", "verify"):
            raise prop.error(f"plugin/cache: invalid value for serve_stale refresh mode: {mode}")
        stale.verify = mode == "verify"
    if words and stale.verify:
        stale.timeout = _seconds(prop, words.pop(0), "invalid serve_stale verify timeout: ")
        if stale.timeout < 0:
            raise prop.error("plugin/cache: invalid negative timeout for serve_stale verify")
    if words:
        stale.ttl = _stale_ttl(prop, words.pop(0))
    if words:
        stale.recheck = _seconds(prop, words.pop(0), "invalid serve_stale failure recheck: ")
        if stale.recheck < 0:
            raise prop.error("plugin/cache: invalid negative failure recheck for serve_stale")
        if stale.recheck > LONGEST_RECHECK:
            raise prop.error("plugin/cache: serve_stale failure recheck cannot exceed 5 minutes")
    if words:
        raise prop.wrong_arguments()
    return stale


def _stale_ttl(prop: Directive, text: str) -> int:
    ttl = _seconds(prop, text, "invalid serve_stale response TTL: ")
    if ttl < 0:
        raise prop.error("plugin/cache: invalid negative response TTL for serve_stale")
    if ttl % 1:
        raise prop.error("plugin/cache: serve_stale response TTL must be a whole number of seconds")
    if ttl >= 1 << 32:
        raise prop.error("plugin/cache: serve_stale response TTL exceeds the DNS TTL range")
    return int(ttl)


def _seconds(prop: Directive, text: str, before: str = "") -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise prop.error(f"plugin/cache: {before}{error}") from None


def _servfail(prop: Directive) -> int:
    seconds = _seconds(prop, prop.one())
    if seconds < 0:
        raise prop.error("plugin/cache: invalid negative ttl for servfail")
    if seconds > LONGEST_SERVFAIL:
        raise prop.error("plugin/cache: caching SERVFAIL responses over 5 minutes is not permitted")
    return int(seconds)
