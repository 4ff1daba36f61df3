"""Fair queues: who is next, and what holds whatever comes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.apiserver.flowcontrol.queueset import QueueSet, Request, State, printed, seat_seconds
from pybernetes.apiserver.flowcontrol.shufflesharding import deal, hash_flow
from pybernetes.apiserver.flowcontrol.work import ONE, Estimate


def level(limit: int, queues: int = 0, length: int = 50, *, exempt: bool = False) -> QueueSet:
    made = QueueSet(0.0)
    made.configure(0.0, queues=queues, queue_length=length, limit=limit, exempt=exempt)
    return made


def request(estimate: Estimate = ONE, flow: str = "") -> Request:
    return Request("schema", flow, estimate)


def started(queues: QueueSet, hand: tuple[int, ...], now: float, estimate: Estimate = ONE) -> Request:
    one = request(estimate)
    queues.start(one, hand, now)
    return one


def check(queues: QueueSet) -> None:
    """What is so after each step."""
    waiting = [one for queue in queues.backlog.values() for one in queue.waiting]
    running = [*queues.queueless, *(one for queue in queues.busy.values() for one in queue.executing)]
    assert queues.waiting == len(waiting)
    assert queues.seats_waiting == sum(one.seats for one in waiting)
    assert queues.executing == len(running)
    assert queues.seats_in_use == sum(one.seats for one in (*running, *queues.lingering))
    assert all(one.state is State.WAITING for one in waiting)
    assert all(one.state is State.EXECUTING for one in running)
    assert all(queues.busy[index] is queue and queue.waiting for index, queue in queues.backlog.items())
    assert queues.active == sum(1 for queue in queues.busy.values() if queue.waiting or queue.executing)
    for index, queue in queues.busy.items():
        assert queue.index == index
        assert queue.waiting or queue.executing or queue.seats_in_use
        assert queue.work_waiting == sum(one.work for one in queue.waiting)
        assert not queue.waiting or queue.next_dispatch >= queue.oldest.arrived_r


def test_without_queues_what_finds_no_seat_is_refused() -> None:
    queues = level(2)
    first, second = started(queues, (), 0), started(queues, (), 0)
    assert started(queues, (), 1).state is State.REFUSED
    assert queues.finish(first, 2) == (0, [])
    assert started(queues, (), 2).state is State.EXECUTING
    assert second.state is State.EXECUTING
    assert (queues.rejected, queues.dispatched) == (1, 3)


def test_exempt_requests_are_never_refused() -> None:
    queues = level(0, exempt=True)
    assert {started(queues, (), 0, Estimate(50)).state for _ in range(10)} == {State.EXECUTING}
    assert queues.occupancy.highest == 500


def test_what_is_wider_than_the_level_runs_alone() -> None:
    queues = level(4, queues=2)
    small = started(queues, (0,), 0)
    wide = started(queues, (1,), 0, Estimate(9))
    assert wide.state is State.WAITING
    assert queues.no_accommodation == {"schema": 1}
    assert queues.finish(small, 1)[1] == [wide]
    assert started(queues, (0,), 1).state is State.WAITING


def test_a_full_queue_refuses() -> None:
    queues = level(1, queues=2, length=2)
    states = [started(queues, (0,), 0).state for _ in range(4)]
    assert states == [State.EXECUTING, State.WAITING, State.WAITING, State.REFUSED]
    assert started(queues, (0, 1), 0).state is State.WAITING  # in the other one


def test_a_level_without_seats_lets_nobody_in() -> None:
    queues = level(0, queues=1)
    one = started(queues, (0,), 0)
    assert one.state is State.WAITING
    queues.cancel(one, 5)
    assert (one.state, queues.idle, queues.cancelled) == (State.REFUSED, True, 1)
    check(queues)


def test_the_queue_with_the_least_work_is_taken() -> None:
    queues = level(1, queues=4)
    started(queues, (3,), 0)
    for _ in range(3):
        started(queues, (0,), 0)
    wide = started(queues, (1,), 0, Estimate(1, 1, 0.1))
    assert wide.queue is not None
    chosen = [started(queues, (0, 1), 0).queue for _ in range(4)]
    assert {queue.index for queue in chosen if queue is not None} == {
        0
    }  # three small ones are less than one that lingers
    assert (empty := started(queues, (0, 1, 2), 0).queue) is not None
    assert empty.index == 2


def test_seats_linger_and_then_others_have_their_turn() -> None:
    queues = level(3, queues=2)
    wide = started(queues, (0,), 0, Estimate(1, 3, 0.25))
    small = started(queues, (1,), 0)
    assert (wide.state, small.state) == (State.EXECUTING, State.WAITING)
    assert queues.finish(wide, 1) == (0.25, [])
    check(queues)
    assert queues.seats_in_use == 3
    assert queues.release(wide, 1.25) == [small]
    check(queues)


def test_what_lingers_is_not_wider_than_the_level() -> None:
    """The level has got smaller while it waited: the same work on fewer seats."""
    queues = level(1, queues=2)
    first = started(queues, (0,), 0)
    wide = started(queues, (0,), 0, Estimate(1, 8, 0.1))
    queues.finish(first, 1)
    assert wide.state is State.EXECUTING
    assert wide.estimate == Estimate(1, 1, 0.8)


def test_fewer_queues_and_fewer_seats() -> None:
    """What waits in a queue that is no more has its turn; what runs goes on."""
    queues = level(2, queues=4)
    running = [started(queues, (3,), 0) for _ in range(2)]
    waiting = [started(queues, (3,), 0) for _ in range(3)]
    assert queues.configure(1, queues=1, queue_length=1, limit=1, exempt=False) == []
    other = started(queues, (0,), 1)
    assert queues.finish(running[0], 2)[1] == []
    assert queues.finish(running[1], 3)[1] == [other]  # the other queue has had three seconds of two seats
    assert queues.finish(other, 4)[1] == [waiting[0]]
    assert queues.configure(4, queues=8, queue_length=1, limit=4, exempt=False) == waiting[1:]
    check(queues)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.00000000ss"), (300_000, "0.00300000ss"), (12_345_678_901, "123.45678901ss")]
)
def test_as_upstream_prints_it(value: int, text: str) -> None:
    assert printed(value) == text
    assert seat_seconds(1, 0.003) == 300_000


@dataclass
class World:
    """Requests that take as long as they say, on a clock of its own. `waits` are the waiting times of each flow."""

    queues: QueueSet
    deck: int
    hand: int = 1
    now: float = 0.0
    ends: list[tuple[float, int, Request, str]] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=dict)
    served: dict[str, float] = field(default_factory=dict)  # seat-seconds
    takes: dict[Request, tuple[float, str]] = field(default_factory=dict)
    number: int = 0

    def ask(self, flow: str, seconds: float, estimate: Estimate = ONE) -> Request:
        one = request(estimate, flow)
        self.takes[one] = (seconds, flow)
        hand = deal(hash_flow("schema", flow), self.deck, self.hand)
        self._run(self.queues.start(one, hand, self.now))
        if one.state is State.EXECUTING and one in self.takes:
            self._run([one])
        check(self.queues)
        return one

    def _run(self, dispatched: list[Request]) -> None:
        for one in dispatched:
            seconds, flow = self.takes.pop(one)
            self.waits.setdefault(flow, []).append(self.now - one.arrived)
            self.served[flow] = self.served.get(flow, 0.0) + seconds * one.seats
            self.number += 1
            self.ends.append((self.now + seconds, self.number, one, "finish"))

    def step(self) -> Request | None:
        """To the next end of a request, or of its lingering."""
        if not self.ends:
            return None
        event = min(self.ends)
        self.ends.remove(event)
        self.now, _, one, what = event
        if what == "finish":
            linger, dispatched = self.queues.finish(one, self.now)
            if linger:
                self.number += 1
                self.ends.append((self.now + linger, self.number, one, "release"))
        else:
            dispatched = self.queues.release(one, self.now)
        self._run(dispatched)
        check(self.queues)
        return one if what == "finish" else None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 10), st.integers(1, 5))
def test_whatever_comes(seed: int, limit: int, deck: int, length: int) -> None:
    """Seats are never more than there are, but for one that is wider than all; nobody waits for ever; nothing is left over."""
    dice = random.Random(seed)
    queues = level(limit, queues=deck, length=length)
    world = World(queues, deck, dice.randint(1, deck))
    asked = []
    for _ in range(200):
        if dice.random() < 0.6:
            seats = dice.choice((1, 1, 1, 2, limit, limit + 2))
            final = dice.choice((0, 0, 0, 3, 20))
            estimate = Estimate(seats, final, 0.02 if final else 0.0)
            asked.append(world.ask(dice.choice("abcdef"), dice.uniform(0.001, 0.05), estimate))
        elif dice.random() < 0.1 and (waiting := [one for one in asked if one.state is State.WAITING]):
            one = dice.choice(waiting)
            queues.cancel(one, world.now)
            del world.takes[one]
            check(queues)
        else:
            world.step()
        assert queues.seats_in_use <= limit or queues.executing <= 1
    while world.step() is not None or world.ends:
        pass
    assert all(one.state in (State.DONE, State.REFUSED) for one in asked)
    assert queues.idle
    assert not queues.busy
    assert queues.seats_in_use == 0
    assert queues.dispatched + queues.rejected == len(asked)


def test_who_floods_waits_and_nobody_else() -> None:
    """A flow with a full queue all the time, and one with a request now and then: it waits until two end at most."""
    world = World(level(4, queues=64, length=50), 64, 6)
    assert not set(deal(hash_flow("schema", "flood"), 64, 6)) & set(deal(hash_flow("schema", "small"), 64, 6))
    for turn in range(2000):
        while world.ask("flood", 0.1).state is not State.REFUSED:
            pass
        if turn % 10 == 0:
            world.ask("small", 0.01)
        world.step()
    assert len(world.waits["small"]) == 200
    assert max(world.waits["small"]) <= 0.2
    assert max(world.waits["flood"]) > 5


@pytest.mark.parametrize(("wide", "long"), [(1, 0.01), (1, 0.2), (4, 0.02), (8, 0.02)])
def test_two_that_want_all_get_half(wide: int, long: float) -> None:
    """Whether their requests are wide, or take long: what counts is seats times seconds."""
    world = World(level(8, queues=64, length=20), 64, 1)
    assert deal(hash_flow("schema", "a"), 64, 1) != deal(hash_flow("schema", "b"), 64, 1)
    for _ in range(4000):
        while world.ask("a", 0.02).state is not State.REFUSED:
            pass
        while world.ask("b", long, Estimate(wide)).state is not State.REFUSED:
            pass
        world.step()
    assert world.served["a"] / world.served["b"] == pytest.approx(1.0, abs=0.15)
