"""How much of the server a request takes: seats, and for how long (upstream: flowcontrol/request).

A seat is what a small request takes while it runs. A list takes one for each 100 kB that it reads, a write one for each ten watches
that hear of it, and those a little after the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pybernetes.api.fieldselectors import parse_field_selector
from pybernetes.api.labels import SelectorError
from pybernetes.api.strconv import NumberError

from ..query import Query
from ..types import RequestInfo

MINIMUM_SEATS, MAXIMUM_LIST_SEATS, MAXIMUM_MUTATING_SEATS = 1, 100, 10
BYTES_PER_SEAT = 100_000
CACHE_BYTES = 1_000_000  # more are not in memory at a time of what is read from the cache and written piece by piece
WATCHES_PER_SEAT, EVENT_SECONDS = 10, 0.005
MAX_SEATS_PART = 0.15  # of a level's seats for one request
LONG_SELECTOR = 4096  # bytes; a longer one is not looked into, for that would be work before anybody is asked
MUTATING = frozenset({"create", "update", "patch", "delete"})


class Estimate(NamedTuple):
    """Of one request."""

    initial_seats: int  # while it runs
    final_seats: int = 0  # after that
    additional_latency: float = 0.0  # for so many seconds, of which its client does not know

    @property
    def seats(self) -> int:
        """That it holds from beginning to end."""
        return max(self.initial_seats, self.final_seats)


ONE = Estimate(MINIMUM_SEATS)


@dataclass(frozen=True, slots=True)
class Stored:
    """Of one resource."""

    count: int
    average_bytes: float


# What is stored of the resource that is asked for; None where it is not kept here.
Stats = Callable[[RequestInfo], Stored | None]


def max_seats(limit: int, hand: int) -> int:
    """For one request of a level with so many seats; its flow's hand of queues must not fill the level with one request each."""
    return max(1, min(math.ceil(limit * MAX_SEATS_PART), limit // hand))


def of_list(info: RequestInfo, query: Query, most: int, stats: Stats) -> Estimate:
    """Of a list or a watch, which begins with one; `most` is the level's limit, 0 where it has none."""
    most = min(most or MAXIMUM_LIST_SEATS, MAXIMUM_LIST_SEATS)
    try:
        limit = query.integer("limit") or 0
    except NumberError:
        return Estimate(most)  # it is refused later
    if info.verb == "watch" and not _begins_with_list(query):
        return ONE
    stored = stats(info)
    if stored is None:
        return ONE
    return Estimate(max(MINIMUM_SEATS, min(_seats(info, query, limit, stored), most)))


def _begins_with_list(query: Query) -> bool:
    return query.flag("sendInitialEvents") or query.get("resourceVersion", "") in ("", "0")


def _seats(info: RequestInfo, query: Query, limit: int, stored: Stored) -> int:
    count = min(limit, stored.count) if limit > 0 else stored.count
    cached = info.verb == "watch" or _from_cache(query, limit)
    if _selected(info, "metadata.name"):
        count = 1
    elif not cached and (query.get("fieldSelector") or query.get("labelSelector")):
        count = max(count, stored.count // 2)
    size = count * stored.average_bytes
    return math.ceil((min(size, CACHE_BYTES) if cached else size) / BYTES_PER_SEAT)


def _from_cache(query: Query, limit: int) -> bool:
    """Whether upstream answers it without its store (storage/cacher/delegator)."""
    match = query.get("resourceVersionMatch", "")
    if match:
        return match == "NotOlderThan"
    if query.get("continue"):
        return False
    return not (limit > 0 and query.get("resourceVersion", "") not in ("", "0"))


def of_write(info: RequestInfo, most: int, watches: int) -> Estimate:
    """Of a write that so many watches hear of. The work of many watches is spread over a longer time, not over more seats."""
    if watches < WATCHES_PER_SEAT or (info.resource == "serviceaccounts" and info.subresource == "token"):
        return ONE
    seats = math.ceil(watches / WATCHES_PER_SEAT)
    given = min(seats, min(most or MAXIMUM_MUTATING_SEATS, MAXIMUM_MUTATING_SEATS))
    return Estimate(MINIMUM_SEATS, given, seats * EVENT_SECONDS / given)


def _selected(info: RequestInfo, field: str) -> str:
    """The one value that its field selector wants the field to have; "" where there is none. What cannot be read is refused later."""
    if not info.field_selector or len(info.field_selector) >= LONG_SELECTOR:
        return ""
    try:
        requirements = parse_field_selector(info.field_selector).requirements
    except SelectorError:
        return ""
    values = (one.value for one in requirements if one.field == field and one.operator in ("=", "=="))
    return next(values, "")


class WatchTracker:
    """How many watch what (upstream: watch_tracker.go). A watch of one node's pods hears little, and does not count."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str, str], int] = {}

    def begin(self, info: RequestInfo) -> tuple[str, str, str, str] | None:
        """For `end`."""
        if info.resource == "pods" and _selected(info, "spec.nodeName"):
            return None
        watched = (info.group, info.resource, info.namespace, info.name or _selected(info, "metadata.name"))
        self._counts[watched] = self._counts.get(watched, 0) + 1
        return watched

    def end(self, watched: tuple[str, str, str, str] | None) -> None:
        """Of a watch that was begun."""
        if watched is None:
            return
        left = self._counts[watched] - 1
        if left:
            self._counts[watched] = left
        else:
            del self._counts[watched]

    def interested(self, info: RequestInfo) -> int:
        """In a write."""
        counts = self._counts
        if not counts:
            return 0
        group, resource = info.group, info.resource
        number = counts.get((group, resource, "", ""), 0)
        if info.namespace:
            number += counts.get((group, resource, info.namespace, ""), 0)
        if info.name:
            number += counts.get((group, resource, info.namespace, info.name), 0)
        return number
