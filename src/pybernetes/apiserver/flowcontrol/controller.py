"""The whole of priority and fairness, as of now: levels with their queues, schemas, and who is put where.

Upstream: flowcontrol/apf_controller.go and apf_filter.go. Every request passes here, and nearly none has to wait: what its first line
and its user decide is worked out once (`Flow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..authentication.user import User
from ..query import Query
from ..resource import Object
from ..types import RequestInfo
from . import allocation, configuration, rules, shufflesharding, work
from .allocation import Limits, Wish
from .configuration import CATCH_ALL, Configuration, LevelSpec, Schema
from .demand import Demand
from .droppedrequests import DroppedRequests
from .flowstats import FlowStats
from .occupancy import State as Occupied
from .queueset import QueueSet, Request
from .work import ONE, Estimate, Stats, WatchTracker

FLOWS = 4096  # that are remembered; then all are forgotten
LONG_PATH = 1024  # bytes of a path that is not remembered
NOTHING = Limits(0, 0, 0)  # before there is a configuration
# (level, state, seconds): how long a level was in a state.
TellLevel = Callable[["Level", Occupied, float], None]


@dataclass(slots=True, eq=False)
class Level:
    """One priority level."""

    spec: LevelSpec
    queues: QueueSet
    limits: Limits = NOTHING
    demand: Demand = field(default_factory=Demand)
    target: float = 0.0
    max_seats: int = 0  # for one request; 0: no limit of the level's own
    quiescing: bool = False  # its object is gone, its requests are not
    limited: bool = False  # it has had its limit
    dropped: DroppedRequests = field(default_factory=DroppedRequests)


@dataclass(slots=True, eq=False)
class Flow:
    """Where requests of one user and kind go; shared by all of them."""

    schema: str
    level: Level
    hand: tuple[int, ...]
    distinguisher: str
    headers: tuple[tuple[str, str], ...]  # of answers
    queues: QueueSet  # the level's
    stats: FlowStats | None = None  # once there is a request


class FlowControl:
    """Decides; the caller does. Every method is told the time of one clock that never goes back.

    `seats` is the number of the server's; `stats` says what is stored, `tell` hears of levels' states.
    """

    def __init__(self, seats: int, stats: Stats, now: float, tell: TellLevel | None = None) -> None:
        self.seats = seats
        self.watches = WatchTracker()
        self.levels: dict[str, Level] = {}
        self.schemas: tuple[Schema, ...] = ()
        self.fair_fraction = 0.0
        self._stats, self._tell = stats, tell
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._wants: list[tuple[float, ...]] = []  # of the last adjustment
        self.configure((), (), now)

    # What is configured.

    def configure(self, levels: Iterable[Object], schemas: Iterable[Object], now: float) -> list[Request]:
        """By the objects that there are; who is dispatched by it."""
        read = configuration.read(levels, schemas)
        self.schemas = read.schemas
        self._flows.clear()
        self._wants = []
        for level in self.levels.values():
            level.queues.occupancy.flush()
        self._place(read, now)
        shares = [level.spec.shares for level in self.levels.values()]
        for level, limits in zip(self.levels.values(), allocation.limits(self.seats, shares), strict=True):
            level.limits = limits
            queuing = level.spec.queuing
            level.max_seats = work.max_seats(limits.nominal, queuing.hand) if queuing is not None else 0
            if not level.limited:
                level.limited, level.queues.limit = True, limits.initial
        return self.adjust(now)

    def _place(self, read: Configuration, now: float) -> None:
        """A level that is no more stays until its requests are done."""
        before, self.levels = self.levels, {}
        for name, spec in read.levels.items():
            level = before.pop(name, None) or self._new(spec, now)
            level.spec, level.quiescing = spec, False
            self.levels[name] = level
        for name, level in before.items():
            if not level.queues.idle:
                level.quiescing = True
                self.levels[name] = level

    def _new(self, spec: LevelSpec, now: float) -> Level:
        level = Level(spec, QueueSet(now))
        if self._tell is not None:
            tell = self._tell
            level.queues.occupancy.tell = lambda state, seconds: tell(level, state, seconds)
        return level

    def adjust(self, now: float) -> list[Request]:
        """Lends seats of levels that do not want them to those that do; who is dispatched by it. Nobody where all want what they did."""
        levels = list(self.levels.values())
        for level in levels:
            level.queues.advance(now)
            level.demand.update(level.queues.occupancy.reset(level.queues.demand))
        wants = [(one.demand.high_watermark, one.demand.smoothed, one.queues.limit) for one in levels]
        if wants == self._wants:
            return []
        wishes = [
            Wish(one.limits, one.spec.exempt, one.demand.high_watermark, one.demand.smoothed, one.queues.limit)
            for one in levels
        ]
        given, self.fair_fraction = allocation.adjust(wishes)
        dispatched = list[Request]()
        for level, wish, limit in zip(levels, wishes, given, strict=True):
            level.target = wish.target
            queuing = level.spec.queuing
            queues, length = (queuing.queues, queuing.length) if queuing is not None else (0, 0)
            exempt = level.spec.exempt
            if limit != level.queues.limit:
                level.queues.occupancy.flush()  # utilisation until now was of the seats until now
            dispatched += level.queues.configure(now, queues=queues, queue_length=length, limit=limit, exempt=exempt)
        self._wants = [(*want[:2], limit) for want, limit in zip(wants, given, strict=True)]
        return dispatched

    def denominator(self, level: Level) -> int:
        """Of utilisation: its seats, or what an exempt level without any is measured by."""
        return level.queues.limit or max(1, round(self.seats / 10))

    # A request's way.

    def classify(self, user: User, info: RequestInfo) -> Flow:
        """Where it goes."""
        if info.is_resource:
            key: tuple[object, ...] = (
                user.name,
                user.groups,
                info.verb,
                info.group,
                info.resource,
                info.subresource,
                info.namespace,
            )
        else:
            key = (user.name, user.groups, info.verb, info.path)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._classified(user, info)
            if len(info.path) < LONG_PATH:
                if len(self._flows) >= FLOWS:
                    self._flows.clear()
                self._flows[key] = flow
        return flow

    def _classified(self, user: User, info: RequestInfo) -> Flow:
        catch_all = next(schema for schema in reversed(self.schemas) if schema.name == CATCH_ALL)
        schema = next((one for one in self.schemas if rules.matches(one, user, info)), catch_all)
        level, distinguisher = self.levels[schema.level], ""
        hand: tuple[int, ...] = ()
        queuing = level.spec.queuing
        if queuing is not None:
            hashed = 0
            if queuing.queues > 1:
                by_user, by_namespace = schema.distinguisher == "ByUser", schema.distinguisher == "ByNamespace"
                distinguisher = user.name if by_user else info.namespace if by_namespace else ""
                hashed = shufflesharding.hash_flow(schema.name, distinguisher)
            hand = shufflesharding.deal(hashed, queuing.queues, queuing.hand)
        headers = (
            ("X-Kubernetes-Pf-Flowschema-Uid", schema.uid),
            ("X-Kubernetes-Pf-Prioritylevel-Uid", level.spec.uid),
        )
        return Flow(schema.name, level, hand, distinguisher, headers, level.queues)

    def estimate(self, flow: Flow, info: RequestInfo, query: Query) -> Estimate:
        """What it takes."""
        verb = info.verb
        if verb in ("list", "watch"):
            return work.of_list(info, query, flow.level.max_seats, self._stats)
        if verb in work.MUTATING:
            return work.of_write(info, flow.level.max_seats, self.watches.interested(info))
        return ONE

    @property
    def superfluous(self) -> bool:
        """Whether there is a level that nothing needs any more: `configure` forgets it."""
        return any(level.quiescing and level.queues.idle for level in self.levels.values())
