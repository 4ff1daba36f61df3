"""What the cache remembers, and for how long."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from pybernetes.aio.clock import RealClock, VirtualClock
from pybernetes.dns import wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugin import ServeError
from pybernetes.dns.plugins import cache
from pybernetes.dns.wire import Answer, Query

from .chains import Behind, address, context, directive, query, serve


class Clock(RealClock):
    """Its monotonic time is what the test says."""

    time = 1000.0

    def monotonic(self) -> float:
        return self.time


def made(text: str, behind: Behind) -> tuple[cache.Cache, Clock]:
    clock, block = Clock(), context()
    plugin = cache.Cache(cache.parse(directive(text), block), block, clock)
    plugin.next = behind
    return plugin, clock


def denied(ttl: int = 60) -> Answer:
    return Answer(wire.NXDOMAIN, authority=[wire.soa_record("example.", 1, ttl)])


def test_a_second_question_is_answered_from_memory_with_less_time() -> None:
    behind = Behind(lambda q: address(q.name))
    plugin, clock = made("cache", behind)
    assert serve(plugin, query("a.example.")).ttl == 100
    clock.time += 40.5
    again = serve(plugin, query("A.example."))
    assert (again.ttl, again.plugin, len(behind.asked)) == (60, "cache", 1)
    clock.time += 60
    assert serve(plugin, query("a.example.")).ttl == 100
    assert len(behind.asked) == 2


@pytest.mark.parametrize(
    ("text", "answer", "seconds"),
    [
        ("cache 30", address("a.example."), 30),
        ("cache", address("a.example.", ttl=1), 5),
        ("cache", address("a.example.", ttl=90000), 3600),
        ("cache", denied(), 60),
        ("cache", denied(90000), 300),  # the SOA's own TTL
        ("cache 30", denied(), 30),
        ("cache {\n success 2000 20 10\n}", address("a.example.", ttl=3), 10),
        ("cache", Answer(wire.SERVFAIL), 5),
        ("cache {\n servfail 1m\n}", Answer(wire.SERVFAIL), 60),
        ("cache {\n servfail 0\n}", Answer(wire.SERVFAIL), 0),
        ("cache", Answer(wire.REFUSED), 0),
        ("cache", Answer(wire.NXDOMAIN), 0),  # without an SOA nobody knows for how long
        ("cache", Answer(wire.NOERROR, [wire.address_record("a.example.", "192.0.2.1", 9)], flags=wire.TC), 0),
        ("cache {\n disable success example\n}", address("a.example."), 0),
        ("cache {\n disable denial example\n}", address("a.example."), 100),
        ("cache other", address("a.example."), 0),
    ],
)
def test_how_long(text: str, answer: Answer, seconds: int) -> None:
    behind = Behind(answer)
    plugin, clock = made(text, behind)
    serve(plugin, query("a.example."))
    if seconds:
        clock.time += seconds - 0.5
        serve(plugin, query("a.example."))
        assert len(behind.asked) == 1
        clock.time += 1
    serve(plugin, query("a.example."))
    assert len(behind.asked) == 2


def test_questions_of_other_types_and_of_signatures_are_others() -> None:
    behind = Behind(lambda q: address(q.name))
    plugin, _ = made("cache", behind)
    signed = query("a.example.")
    signed.dnssec = True
    for asked in (query("a.example."), query("a.example.", wire.AAAA), signed):
        serve(plugin, asked)
    assert len(behind.asked) == 3


def test_it_does_not_grow_for_ever() -> None:
    behind = Behind(lambda q: address(q.name))
    plugin, _ = made("cache {\n success 1024\n}", behind)
    for number in range(1030):
        serve(plugin, query(f"{number}.example."))
    assert sum(plugin.entries().values()) == 1024


@pytest.mark.parametrize(
    "text",
    ["cache 0", "cache {\n servfail 10m\n}", "cache {\n foo\n}", "cache {\n disable\n}"],
)
def test_mistakes(text: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:[23]"):
        cache.parse(directive(text), context())


def test_what_is_asked_for_often_is_fetched_before_its_end() -> None:
    async def run() -> None:
        behind = Behind(lambda q: address(q.name))
        plugin, clock = made("cache {\n prefetch 3 1m 10%\n}", behind)
        asked = query("a.example.")
        for seconds in (0, 88, 0.5):  # the first is a miss, two hits follow
            clock.time += seconds
            await plugin.serve(asked)
        assert len(behind.asked) == 1
        clock.time += 2  # 9.5 s are left, and this is the third hit
        assert (await plugin.serve(asked)).ttl == 10
        await settled(lambda: len(behind.asked) == 2)
        clock.time += 15  # the first answer would have ended
        assert (await plugin.serve(asked)).ttl == 85
        assert len(behind.asked) == 2
        assert plugin.entries()["dns://:53", "success", ".", ""] == 1

    asyncio.run(run())


async def settled(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0)


class Sometimes:
    """Answers as `now` says."""

    def __init__(self) -> None:
        self.now: Answer | Exception = address("a.example.")
        self.asked = 0

    async def __call__(self, asked: Query) -> Answer:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.now, Exception):
            raise self.now
        return replace(self.now)


@pytest.mark.parametrize(
    ("option", "now", "shown"),
    [
        # What is given out when the time is over, and after that: the last byte of the address, or the code.
        ("serve_stale", address("a.example.", "192.0.2.2"), [1, 2]),
        ("serve_stale", ServeError("i/o timeout"), [1, 1]),
        ("serve_stale", Answer(wire.SERVFAIL), [1, 1]),
        ("serve_stale 1h verify", address("a.example.", "192.0.2.2"), [2, 2]),
        ("serve_stale 1h verify", ServeError("i/o timeout"), [1, 1]),
        ("serve_stale 1h verify", Answer(wire.SERVFAIL), [1, 1]),
        ("serve_stale 1h verify", denied(), ["NXDOMAIN", "NXDOMAIN"]),
        ("serve_stale 1h verify\n serve_stale_policy prefer_positive", denied(), [1, 1]),
        ("serve_stale 1h verify 10s", address("a.example.", "192.0.2.2"), [2, 2]),
        ("serve_stale 5s", address("a.example.", "192.0.2.2"), [2, 2]),  # older than that
        ("keepttl", address("a.example.", "192.0.2.2"), [2, 2]),
    ],
)
def test_old_answers(option: str, now: Answer | Exception, shown: list[int | str]) -> None:
    async def run() -> list[int | str]:
        behind = Sometimes()
        plugin, clock = made(f"cache {{\n {option}\n}}", Behind(Answer()))
        plugin.next = behind
        await plugin.serve(query("a.example."))
        behind.now = now
        clock.time += 110
        results: list[int | str] = []
        for _ in range(2):
            answer = await plugin.serve(query("a.example."))
            results.append(answer.answer[0].data[-1] if answer.answer else wire.RCODES[answer.rcode])
            if not results[1:] and results[0] == 1:
                assert answer.ttl == 0
            await settled(lambda: not plugin._tasks)
        await plugin.stop()
        return results

    assert asyncio.run(run()) == shown


def test_a_check_that_takes_too_long_goes_on_behind_the_old_answer() -> None:
    async def run() -> None:
        clock, block = VirtualClock(0.0), context()
        plugin = cache.Cache(cache.parse(directive("cache {\n serve_stale 1h verify 1s 7s\n}"), block), block, clock)
        plugin.next = Behind(lambda q: address(q.name))
        await plugin.serve(query("a.example."))
        await clock.advance(110)

        async def slowly(asked: Query) -> Answer:
            await clock.sleep(5)
            return address(asked.name, "192.0.2.2")

        plugin.next = slowly
        asking = asyncio.ensure_future(plugin.serve(query("a.example.")))
        await clock.advance(1.5)
        old = await asking
        assert (old.answer[0].data[-1], old.ttl) == (1, 7)
        await clock.advance(4)
        assert (await plugin.serve(query("a.example."))).answer[0].data[-1] == 2

    asyncio.run(run())


def test_a_refresh_that_failed_is_tried_again_later() -> None:
    async def run() -> None:
        behind = Sometimes()
        plugin, clock = made("cache {\n serve_stale 1h immediate 1s 30s\n}", Behind(Answer()))
        plugin.next = behind
        await plugin.serve(query("a.example."))
        behind.now = ServeError("i/o timeout")
        clock.time += 110
        for seconds, asked in ((0, 2), (10, 2), (21, 3)):
            clock.time += seconds
            assert (await plugin.serve(query("a.example."))).ttl == 1
            await settled(lambda: not plugin._tasks)
            assert behind.asked == asked

    asyncio.run(run())


def test_a_failure_does_not_hide_an_answer() -> None:
    behind = Sometimes()
    plugin, clock = made("cache {\n servfail 60s\n}", Behind(Answer()))
    plugin.next = behind
    behind.now = Answer(wire.SERVFAIL)
    assert serve(plugin, query("a.example.")).rcode == wire.SERVFAIL
    clock.time += 61
    behind.now = address("a.example.")
    serve(plugin, query("a.example."))
    assert serve(plugin, query("a.example.")).rcode == wire.NOERROR


def test_authenticated_is_told_to_those_who_ask() -> None:
    answer = address("a.example.")
    answer.flags |= wire.AD
    plugin, _ = made("cache", Behind(lambda q: replace(answer)))
    for _ in range(2):
        plain, asking = query("a.example."), query("a.example.")
        asking.flags |= wire.AD
        assert not serve(plugin, plain).flags & wire.AD
        assert serve(plugin, asking).flags & wire.AD


@pytest.mark.parametrize(
    ("property", "message"),
    [
        ("success x", 'strconv.Atoi: parsing "x": invalid syntax'),
        ("success 10 0", "cache TTL can not be zero or negative: 0"),
        ("denial 10 10 -1", "cache min TTL can not be negative: -1"),
        ("prefetch -1", "prefetch amount should be positive: -1"),
        ("prefetch 1 1m 5%", "percentage should fall in range [10, 90]: 5"),
        ("prefetch 1 1m 50", "last character of percentage should be `%`, but is: '0'"),
        ("serve_stale -1s", "invalid negative duration for serve_stale"),
        ("serve_stale 1h sometimes", "invalid value for serve_stale refresh mode: sometimes"),
        ("serve_stale 1h verify x", "invalid serve_stale verify timeout: time: invalid duration"),
        ("serve_stale 1h immediate 500ms", "serve_stale response TTL must be a whole number of seconds"),
        ("serve_stale 1h immediate 1s 6m", "serve_stale failure recheck cannot exceed 5 minutes"),
        ("serve_stale 1h immediate 1s 1s 1s", "Wrong argument count"),
        ("serve_stale_policy prefer_positive", "serve_stale_policy requires serve_stale"),
        ("serve_stale\n serve_stale_policy best", "invalid serve_stale_policy: best"),
        ("servfail -1s", "invalid negative ttl for servfail"),
        ("disable some", 'cache type for disable must be "success" or "denial"'),
        ("keepttl 5", "Wrong argument count"),
    ],
)
def test_mistakes_of_properties(property: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        cache.parse(directive(f"cache {{\n {property}\n}}"), context())
    assert message in str(caught.value)
