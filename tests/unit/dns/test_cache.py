"""What the cache remembers, and for how long."""

import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.dns import wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugins import cache
from pybernetes.dns.wire import Answer

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
