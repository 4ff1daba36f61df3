"""Runs a request when it is its turn (upstream: server/filters/priority-and-fairness.go).

What is decided is decided by `flowcontrol`; here requests wait, and give their seats back however they end.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from pybernetes.aio.clock import Cancellable, Clock
from pybernetes.wire.http import BodyWriter, Response, StreamingResponse, Upgraded, UpgradeResponse

from ..endpoints.metrics import APIServerMetrics
from ..endpoints.routes import Answer
from ..flowcontrol import initialization, work
from ..flowcontrol.controller import Flow, FlowControl
from ..flowcontrol.flowstats import FlowStats
from ..flowcontrol.metrics import FlowControlMetrics
from ..flowcontrol.occupancy import MANY_STATES
from ..flowcontrol.queueset import Request, State
from ..flowcontrol.work import MUTATING, ONE, Estimate
from ..types import RequestInfo
from .exchange import Exchange, Handler
from .following import followed
from .maxinflight import TOO_MANY

WATCH = "watch"
EXECUTING = State.EXECUTING
MAX_WAIT_SECONDS = 60.0
WAIT_PART = 4  # of the time that a request may take, it may wait


class Visit(Request):
    """A request of `flowcontrol`, with what the link has to know of it."""

    __slots__ = ("ended", "exchange", "flow", "stats", "turn")

    def __init__(self, exchange: Exchange, flow: Flow, estimate: Estimate, stats: FlowStats) -> None:
        Request.__init__(self, flow.schema, flow.distinguisher, estimate)
        self.exchange, self.flow, self.stats = exchange, flow, stats
        self.turn: asyncio.Future[None] | None = None  # done when it is its turn, or it has waited long enough
        self.ended = False  # its seats are given back


class PriorityAndFairness:
    """429 for what finds neither a seat nor a place in a queue, or waits too long. Long-running requests pass, but for the beginning
    of watches. `request_timeout` is what a request without a deadline of its own would have."""

    def __init__(
        self,
        control: FlowControl,
        counted: FlowControlMetrics,
        metrics: APIServerMetrics,
        request_timeout: float,
        clock: Clock,
    ) -> None:
        self._control, self._counted, self._dropped = control, counted, metrics.dropped
        self._clock, self._monotonic = clock, clock.monotonic
        self._wait_limit = min(request_timeout / WAIT_PART or MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)
        self._executing, self._waiting = [0, 0], [0, 0]  # requests that read, and that change something
        self._since = clock.monotonic()
        metrics.inflight.function = lambda: _by_kind(self._executing)
        metrics.inqueue.function = lambda: _by_kind(self._waiting)

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        description = exchange.description
        if not description.long_running:
            return self._limited(exchange, next)
        if exchange.info.verb == WATCH and not exchange.info.subresource:
            return self._limited(exchange, next)
        return next(exchange)

    async def _limited(self, exchange: Exchange, next: Handler) -> Answer:
        control, info = self._control, exchange.info
        flow = control.classify(exchange.user, info)
        exchange.headers += flow.headers
        stats = flow.stats
        if stats is None:
            stats = flow.stats = self._counted.of(flow.level.spec.name, flow.schema)
        estimate = ONE if info.verb == "get" else self._estimate(flow, exchange, stats)
        visit, queues = Visit(exchange, flow, estimate, stats), flow.queues
        woken = queues.start(visit, flow.hand, self._monotonic())
        if estimate is ONE and visit.state is EXECUTING and not queues.waiting:
            stats.plain += 1
        else:
            await self._started(visit, woken)
            if visit.state is State.REFUSED:
                return self._refused(visit)
        self._note(exchange.description.mutating, 1, visit.started)
        if info.verb == WATCH:
            return await self._watch(visit, next)
        streamed = False
        try:
            answered = await next(exchange)
            if type(answered) is StreamingResponse:
                streamed, answered = True, self._streamed(visit, answered)
            return answered
        finally:
            if not streamed:
                self._end(visit)

    def _estimate(self, flow: Flow, exchange: Exchange, stats: FlowStats) -> Estimate:
        info = exchange.info
        if info.verb in MUTATING:
            watches = self._control.watches.interested(info)
            stats.watched(watches)
            return work.of_write(info, flow.level.max_seats, watches)
        return self._control.estimate(flow, info, exchange.query)

    async def _started(self, visit: Visit, woken: Iterable[Request]) -> None:
        """Of one that may have to wait: returns when it is its turn, or it is refused."""
        stats, exempt = visit.stats, visit.flow.level.spec.exempt
        stats.estimated(visit.seats)
        if visit.queue is not None and visit.state is not State.REFUSED:
            stats.enqueued(len(visit.queue.waiting) or 1)
        self._wake(woken)
        if visit.state is not EXECUTING:
            await self._turn(visit)
        elif not exempt:
            stats.unwaited += 1
        if visit.state is not EXECUTING:
            return
        stats.dispatched += 1
        if visit.seats > 1 and not exempt:
            # One loop runs all requests one after the other: what holds many seats lets others come in while it does, or no
            # flood would ever be seen to fill the level.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                self._end(visit, executed=False)
                raise

    # Waiting.

    async def _turn(self, visit: Visit) -> None:
        """Returns with the request executing or refused."""
        exchange = visit.exchange
        if visit.state is State.REFUSED:
            self._rejected(visit, "queue-full" if visit.flow.queues.queues else "concurrency-limit")
            self._observe_wait(visit, executed=False)
            return
        seconds = self._wait_limit
        if exchange.deadline is not None:
            seconds = min((exchange.deadline - exchange.started) / WAIT_PART, MAX_WAIT_SECONDS)
        visit.turn = turn = asyncio.get_running_loop().create_future()
        left = exchange.started + seconds - visit.arrived
        timer = self._clock.call_later(max(left, 0.0), functools.partial(_let, turn))
        self._note_waiting(exchange.description.mutating, 1)
        try:
            await turn
        except asyncio.CancelledError:  # who asked has left
            if visit.state is State.WAITING:
                self._give_up(visit)
            else:
                self._end(visit, executed=False)
            raise
        finally:
            self._note_waiting(exchange.description.mutating, -1)
            timer.cancel()
            visit.turn = None
        if visit.state is State.WAITING:
            self._give_up(visit)
        self._observe_wait(visit, executed=visit.state is State.EXECUTING)

    def _give_up(self, visit: Visit) -> None:
        visit.flow.queues.cancel(visit, self._monotonic())
        self._rejected(visit, "time-out")

    def _wake(self, dispatched: Iterable[Request]) -> None:
        """It is their turn."""
        for request in dispatched:
            assert isinstance(request, Visit), "every request is one of this link"
            if request.turn is not None:
                _let(request.turn)

    wake = _wake

    def _observe_wait(self, visit: Visit, *, executed: bool) -> None:
        seconds, name = self._monotonic() - visit.arrived, visit.flow.level.spec.name
        self._counted.waits.observe(seconds, name, visit.flow.schema, "true" if executed else "false")

    def _rejected(self, visit: Visit, reason: str) -> None:
        visit.stats.rejected[reason] = visit.stats.rejected.get(reason, 0) + 1

    def _refused(self, visit: Visit) -> Response:
        self._dropped.inc(*visit.exchange.description.labels, "429")
        seconds = visit.flow.level.dropped.record(int(self._monotonic()))
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
        return Response(429, [*headers, ("Retry-After", str(seconds))], TOO_MANY)

    # Giving seats back.

    def _end(self, visit: Visit, *, executed: bool = True) -> None:
        """Once for each request that had its turn."""
        if visit.ended:
            return
        visit.ended = True
        now, queues = self._monotonic(), visit.flow.queues
        if executed:
            exchange = visit.exchange
            self._note(exchange.description.mutating, -1, now)
            if exchange.info.verb == WATCH:
                name = visit.flow.level.spec.name
                self._counted.executions.observe(now - visit.started, name, visit.flow.schema, WATCH)
            else:
                visit.stats.executed(now - visit.started)
        seconds, dispatched = queues.finish(visit, now)
        if dispatched:
            self._wake(dispatched)
        if seconds:
            self._clock.call_later(seconds, lambda: self._wake(queues.release(visit, self._monotonic())))

    def _streamed(self, visit: Visit, answered: StreamingResponse) -> Answer:
        """Its seats are taken until it is written, or until its time is up: who does not read must not keep others out."""
        timer: Cancellable | None = None
        deadline = visit.exchange.deadline
        if deadline is not None:
            timer = self._clock.call_later(max(deadline - self._monotonic(), 0.0), lambda: self._end(visit))

        def ended() -> None:
            if timer is not None:
                timer.cancel()
            self._end(visit)

        return followed(answered, ended)

    async def _watch(self, visit: Visit, next: Handler) -> Answer:
        """A watch takes seats until its first events are written, and is counted as one until its end."""
        watches = self._control.watches
        watched = watches.begin(visit.exchange.info)

        def initialized() -> None:
            self._end(visit)

        def ended() -> None:
            initialized()
            watches.end(watched)

        token = initialization.current.set(initialized)
        try:
            answered = await next(visit.exchange)
        except BaseException:
            ended()
            raise
        finally:
            initialization.current.reset(token)
        if isinstance(answered, Response):
            ended()
            return answered
        return followed(_telling(answered, initialized), ended)

    # What is counted of all.

    def _note(self, mutating: bool, change: int, now: float) -> None:
        self._stay(now)
        self._executing[mutating] += change

    def _note_waiting(self, mutating: bool, change: int) -> None:
        self._stay(self._monotonic())
        self._waiting[mutating] += change

    def _stay(self, now: float) -> None:
        """So it was since the last change."""
        passed = now - self._since
        if passed <= 0:  # it was dispatched a while ago, and the loop has come to it only now
            return
        self._since = now
        executing, waiting = self._executing, self._waiting
        state = (executing[1], executing[0], waiting[1], waiting[0])
        states = self._counted.kinds.states
        states[state] = states.get(state, 0.0) + passed
        if len(states) > MANY_STATES:
            self._counted.kinds.flush()


def _let(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _by_kind(counts: list[int]) -> dict[tuple[str, ...], float]:
    return {("mutating",): float(counts[True]), ("readOnly",): float(counts[False])}


def _telling(
    answered: StreamingResponse | UpgradeResponse, tell: Callable[[], None]
) -> StreamingResponse | UpgradeResponse:
    """The answer, in which `initialization.done` calls `tell`."""
    if isinstance(answered, UpgradeResponse):
        run = answered.run

        async def telling_run(stream: Upgraded) -> None:
            token = initialization.current.set(tell)
            try:
                await run(stream)
            finally:
                initialization.current.reset(token)

        return replace(answered, run=telling_run)
    produce = answered.producer

    async def telling_production(writer: BodyWriter) -> None:
        token = initialization.current.set(tell)
        try:
            await produce(writer)
        finally:
            initialization.current.reset(token)

    return replace(answered, producer=telling_production)


def describe(request: Request) -> tuple[str, RequestInfo]:
    """Who asks for what."""
    assert isinstance(request, Visit), "every request is one of this link"
    return request.exchange.user.name, request.exchange.info
