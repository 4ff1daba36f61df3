"""The fair queues of one priority level (upstream: flowcontrol/fairqueuing/queueset).

Each queue has a virtual server of its own, all of which get the same part of the level's seats; what a queue would have had dispatched
first there is dispatched first here. Progress in that world is R, in seat-seconds a queue. A request counts as `ESTIMATED_SECONDS`
of its seats until it is known how long it took. Queues without requests have no state: only those with some are kept, however many a
level is configured to have.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum

from .occupancy import MANY_STATES, Occupancy, Tell
from .work import ONE, Estimate

ESTIMATED_SECONDS = 0.003
SCALE = 10**8  # of seat-seconds, which are whole numbers so that they add up exactly


class State(Enum):
    """Of a request."""

    WAITING = "waiting"
    EXECUTING = "executing"
    REFUSED = "refused"
    LINGERING = "lingering"  # it is answered, and its seats are still taken
    DONE = "done"


def seat_seconds(seats: float, seconds: float) -> int:
    """In units of 1/SCALE."""
    return round(seats * seconds * SCALE)


def printed(value: int) -> str:
    """As upstream prints them."""
    return f"{value // SCALE}.{value % SCALE:08d}ss"


class Queue:
    """Requests that wait, in their order, and that run."""

    __slots__ = (
        *("executing", "index", "initial_seats_waiting", "next_dispatch", "seats_in_use", "seats_waiting"),
        *("waiting", "work_waiting"),
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.next_dispatch = 0  # R at which its next request is dispatched in the virtual world
        self.waiting: OrderedDict[Request, None] = OrderedDict()
        self.executing: set[Request] = set()
        self.seats_in_use = 0
        self.initial_seats_waiting = self.seats_waiting = self.work_waiting = 0

    @property
    def oldest(self) -> Request:
        """Of those that wait."""
        return next(iter(self.waiting))


class Request:
    """One on its way through a level; the caller's own attributes are a subclass's. `started` is set where it runs, `queue` where
    it came into one."""

    __slots__ = (
        *("arrived", "arrived_r", "distinguisher", "estimate", "queue", "schema", "seats", "started", "state", "work"),
    )

    def __init__(self, schema: str, distinguisher: str, estimate: Estimate = ONE) -> None:
        self.schema, self.distinguisher = schema, distinguisher
        self.estimate, self.seats = estimate, 1 if estimate is ONE else estimate.seats
        self.state = State.WAITING
        self.queue: Queue | None = None
        self.arrived = self.started = 0.0
        self.arrived_r = self.work = 0


ONE_WORK = seat_seconds(1, ESTIMATED_SECONDS)
SPARE_QUEUES = 64  # without requests, that are kept to be used again


class QueueSet:
    """One level's. Every method is told the time, which never goes backwards; `limit` is the number of its seats.

    What is dispatched by a call is what it returns: also requests of others, whose turn it is now.
    """

    def __init__(self, now: float, tell: Tell | None = None) -> None:
        self.limit = 0
        self.exempt = False
        self.queues, self.queue_length = 0, 0  # 0 queues: what finds no seat is refused
        self.r = 0
        self.waiting = self.executing = self.seats_in_use = self.seats_waiting = 0
        self.dispatched = self.rejected = self.cancelled = 0
        self.no_accommodation: dict[str, int] = {}  # by schema: dispatches put off for want of seats
        self.occupancy = Occupancy(tell)
        self.busy: dict[int, Queue] = {}  # with requests, or seats that are still taken
        self.backlog: dict[int, Queue] = {}  # with requests that wait
        self.active = 0  # queues with requests that wait or run
        self.queueless: set[Request] = set()  # that run and never were in a queue
        self.lingering: set[Request] = set()
        self.last_dispatch = (0, 0, 0, 0, 0, 0)  # R, S, and the bounds of S and of S less the work in progress
        self._now, self._robin, self._chosen = now, -1, 0
        self._spare: list[Queue] = []

    @property
    def demand(self) -> int:
        """Seats that are used or waited for."""
        return self.seats_in_use + self.seats_waiting

    def advance(self, now: float) -> None:
        """Counts what has been since the last call, for who looks at it."""
        self._advance(now)

    @property
    def idle(self) -> bool:
        """Nothing waits or runs."""
        return not self.waiting and not self.executing

    def configure(self, now: float, *, queues: int, queue_length: int, limit: int, exempt: bool) -> list[Request]:
        """What was put into a queue that is to be no more stays there until it is dispatched."""
        self._advance(now)
        self.queues, self.queue_length, self.limit, self.exempt = queues, queue_length, limit, exempt
        return self._dispatch(now)

    # A request's way.

    def start(self, request: Request, hand: tuple[int, ...], now: float) -> list[Request]:
        """`request.state` says what became of it. `hand` has the queues that it may go into."""
        self._advance(now)
        seats = request.seats
        request.arrived, request.arrived_r = now, self.r
        if not self.queues:
            if self.exempt or self._accommodates(seats):
                self.queueless.add(request)
                self._execute(request, now)
            else:
                request.state = State.REFUSED
                self.rejected += 1
            return []
        estimate = request.estimate
        request.work = ONE_WORK if estimate is ONE else _work(estimate)
        queue = request.queue = self._choose(hand)
        if not self.waiting and self.seats_in_use + seats <= self.limit:  # as nearly always: nobody has to wait
            self._join(queue)
            self._leave_virtually(request, queue, now)
            return []
        # Upstream takes it in as long as a seat is free, for one that is too few for the oldest as well: its queues have no end then.
        if len(queue.waiting) >= self.queue_length:
            request.state = State.REFUSED
            self.rejected += 1
            return []
        self._join(queue)
        self._enqueue(request, queue)
        return self._dispatch(now)

    def finish(self, request: Request, now: float) -> tuple[float, list[Request]]:
        """Of one that ran: for how many seconds its seats stay taken (`release` follows where there are some), and who is next."""
        self._advance(now)
        self.executing -= 1
        queue = request.queue
        if queue is None:
            self.queueless.discard(request)
        else:
            queue.executing.discard(request)
            ahead = ESTIMATED_SECONDS - (now - request.started)
            queue.next_dispatch -= int(request.estimate.initial_seats * ahead * SCALE)
            if queue.waiting:
                self._bound(queue)
            elif not queue.executing:
                self.active -= 1
        if request.estimate.additional_latency > 0:
            request.state = State.LINGERING
            self.lingering.add(request)
            return request.estimate.additional_latency, []
        return 0.0, self._release(request, now)

    def release(self, request: Request, now: float) -> list[Request]:
        """The seats of one that lingers."""
        self._advance(now)
        self.lingering.discard(request)
        return self._release(request, now)

    def cancel(self, request: Request, now: float) -> None:
        """Of one that waits, and does so no more."""
        self._advance(now)
        queue = request.queue
        assert queue is not None, "only a queue is waited in"
        self._take_out(request, queue)
        request.state = State.REFUSED
        self.rejected += 1
        self.cancelled += 1
        if queue.waiting:
            self._bound(queue)
        elif not queue.executing:
            self.active -= 1
            self._forget(queue)

    # The virtual world.

    def _advance(self, now: float) -> None:
        """What has been since the last call."""
        passed = now - self._now
        if passed <= 0:
            return
        self._now = now
        state = (self.executing, self.seats_in_use, self.waiting, self.seats_waiting)
        states = self.occupancy.states
        states[state] = states.get(state, 0.0) + passed
        if len(states) > MANY_STATES:
            self.occupancy.flush()
        if self.active:
            used = min(self.seats_in_use + self.seats_waiting, self.limit)
            self.r += int(used * passed * SCALE / self.active)

    def _choose(self, hand: tuple[int, ...]) -> Queue:
        """The queue of the hand in which the least work waits; each call begins with another one."""
        size, busy, backlog = len(hand), self.busy, self.backlog
        offset = self._chosen % size
        self._chosen += 1
        best = hand[offset]
        if backlog and best in backlog:
            least = backlog[best].work_waiting
            for index in (*hand[offset + 1 :], *hand[:offset]):
                work = backlog[index].work_waiting if index in backlog else 0
                if work < least:
                    best, least = index, work
        queue = busy.get(best)
        if queue is None:
            if not self._spare:
                return Queue(best)
            queue = self._spare[-1]  # which `_join` takes
            queue.index = best
        return queue

    def _join(self, queue: Queue) -> None:
        """A request comes into the queue: dispatched there, it is not before now."""
        if not queue.waiting and not queue.executing:
            queue.next_dispatch = self.r
            self.active += 1
            if not queue.seats_in_use:
                self.busy[queue.index] = queue
                if self._spare and self._spare[-1] is queue:
                    self._spare.pop()
        elif queue.next_dispatch < self.r and not queue.waiting:
            queue.next_dispatch = self.r

    def _enqueue(self, request: Request, queue: Queue) -> None:
        queue.waiting[request] = None
        self.backlog[queue.index] = queue
        queue.initial_seats_waiting += request.estimate.initial_seats
        queue.seats_waiting += request.seats
        queue.work_waiting += request.work
        self.waiting += 1
        self.seats_waiting += request.seats
        self.occupancy.highest = max(self.occupancy.highest, self.seats_in_use + self.seats_waiting)
        self._bound(queue)

    def _take_out(self, request: Request, queue: Queue) -> None:
        del queue.waiting[request]
        if not queue.waiting:
            del self.backlog[queue.index]
        queue.initial_seats_waiting -= request.estimate.initial_seats
        queue.seats_waiting -= request.seats
        queue.work_waiting -= request.work
        self.waiting -= 1
        self.seats_waiting -= request.seats

    def _bound(self, queue: Queue) -> None:
        """Nothing is dispatched before it came: a queue that does not use its part does not save it for later."""
        arrived = queue.oldest.arrived_r
        if queue.next_dispatch < arrived:
            queue.next_dispatch = arrived

    def _dispatch(self, now: float) -> list[Request]:
        """As many as there are seats for."""
        dispatched: list[Request] = []
        while self.waiting and self.seats_in_use < self.limit:
            queue, bounds = self._next_queue()
            request = queue.oldest
            if not self._accommodates(request.seats):
                self.no_accommodation[request.schema] = self.no_accommodation.get(request.schema, 0) + 1
                break
            self._robin = queue.index
            self._take_out(request, queue)
            if request.estimate.final_seats > self.limit:
                request.estimate = _narrowed(request.estimate, self.limit)
            self._leave_virtually(request, queue, now)
            self.last_dispatch = (*self.last_dispatch[:2], *bounds)
            if queue.waiting:
                self._bound(queue)
            dispatched.append(request)
        return dispatched

    def _next_queue(self) -> tuple[Queue, tuple[int, int, int, int]]:
        """The one whose oldest request would end first; of equal ones the next in turn. With the bounds that metrics tell."""
        size, start = max(self.queues, max(self.backlog) + 1), self._robin + 1
        queues = self.backlog.values()
        best = min(queues, key=lambda queue: (queue.next_dispatch + queue.oldest.work, (queue.index - start) % size))
        starts = [queue.next_dispatch for queue in queues]
        less = [queue.next_dispatch - seat_seconds(queue.seats_in_use, ESTIMATED_SECONDS) for queue in queues]
        return best, (min(starts), max(starts), min(less), max(less))

    def _leave_virtually(self, request: Request, queue: Queue, now: float) -> None:
        """It is dispatched, here and there."""
        start = queue.next_dispatch
        self.last_dispatch = (self.r, start, start, start, start, start)
        self._execute(request, now)
        queue.executing.add(request)
        queue.seats_in_use += request.seats
        queue.next_dispatch = start + request.work

    def _execute(self, request: Request, now: float) -> None:
        request.state, request.started = State.EXECUTING, now
        self.executing += 1
        self.dispatched += 1
        self.seats_in_use += request.seats
        demand = self.seats_in_use + self.seats_waiting
        if demand > self.occupancy.highest:
            self.occupancy.highest = demand

    def _accommodates(self, seats: int) -> bool:
        """What is wider than the level has its turn when nothing else runs."""
        if seats > self.limit:
            return not self.executing
        return self.seats_in_use + seats <= self.limit

    def _release(self, request: Request, now: float) -> list[Request]:
        request.state = State.DONE
        self.seats_in_use -= request.seats
        queue = request.queue
        if queue is not None:
            queue.seats_in_use -= request.seats
            self._forget(queue)
        return self._dispatch(now) if self.waiting else []

    def _forget(self, queue: Queue) -> None:
        """One of which nothing is to be known any more."""
        if not (queue.seats_in_use or queue.waiting or queue.executing):
            del self.busy[queue.index]
            if len(self._spare) < SPARE_QUEUES:
                self._spare.append(queue)


def _work(estimate: Estimate) -> int:
    """Of all its phases."""
    final = seat_seconds(estimate.final_seats, estimate.additional_latency)
    return seat_seconds(estimate.initial_seats, ESTIMATED_SECONDS) + final


def _narrowed(estimate: Estimate, limit: int) -> Estimate:
    """The same work after the answer, on fewer seats, and longer."""
    longer = estimate.additional_latency * estimate.final_seats / limit
    return Estimate(estimate.initial_seats, limit, longer)


def oldest_first(requests: Iterable[Request]) -> list[Request]:
    """As dumps tell them."""
    return sorted(requests, key=lambda request: request.arrived)
