"""Which resolver is asked, and what when it does not answer."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from pybernetes.dns import wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugin import ServeError
from pybernetes.dns.plugins import forward
from pybernetes.dns.upstream import NoAnswer
from pybernetes.dns.wire import Answer, Query

from .chains import Behind, address, context, directive, query, serve


@dataclass
class Resolver:
    """Answers, or not."""

    name: str
    rcode: int | None = wire.NOERROR
    down: bool = False
    asked: list[str] = field(default_factory=list)
    flags: int = 0

    def __str__(self) -> str:
        return self.name

    async def exchange(self, query: Query, protocol: str) -> Answer:
        self.asked.append(protocol)
        if self.rcode is None:
            raise NoAnswer(f"read {protocol} {self.name}: i/o timeout")
        return Answer(
            self.rcode, [wire.address_record(query.name, "192.0.2.1", 5)], flags=self.flags if protocol == "udp" else 0
        )

    async def close(self) -> None:
        """Nothing to close."""


def made(text: str, *resolvers: Resolver) -> forward.Forward:
    upstreams: Any = resolvers
    plugin = forward.Forward(forward.parse(directive(text)), context(), upstreams)
    plugin.next = Behind(address("next."))
    return plugin


SEQUENTIAL = "forward . 192.0.2.1 {\n policy sequential\n}"


def test_the_next_one_is_asked_when_one_does_not_answer() -> None:
    dead, alive = Resolver("dead", None), Resolver("alive")
    assert serve(made(SEQUENTIAL, dead, alive), query("a.example.")).answer
    assert (dead.asked, alive.asked) == (["udp"], ["udp"])


def test_those_that_are_down_are_left_out_unless_all_are() -> None:
    down, up = Resolver("down", down=True), Resolver("up")
    serve(made(SEQUENTIAL, down, up), query("a.example."))
    assert (down.asked, up.asked) == ([], ["udp"])
    up.down = True
    serve(made(SEQUENTIAL, down, up), query("a.example."))
    assert len(down.asked) + len(up.asked) == 2


def test_no_answer_at_all_is_an_error_with_the_last_reason() -> None:
    with pytest.raises(ServeError, match="read udp two: i/o timeout"):
        serve(made(SEQUENTIAL, Resolver("one", None), Resolver("two", None)), query("a.example."))
    failfast = "forward . 192.0.2.1 {\n failfast_all_unhealthy_upstreams\n}"
    with pytest.raises(ServeError, match="no healthy proxies"):
        serve(made(failfast, Resolver("one", down=True)), query("a.example."))


def test_policies() -> None:
    three = [Resolver(name) for name in "abc"]
    plugin = made("forward . 192.0.2.1 {\n policy round_robin\n}", *three)
    for _ in range(6):
        serve(plugin, query("a.example."))
    assert [len(r.asked) for r in three] == [2, 2, 2]
    many = [Resolver(name) for name in "abc"]
    plugin = made("forward . 192.0.2.1", *many)
    for _ in range(100):
        serve(plugin, query("a.example."))
    assert all(r.asked for r in many)


@pytest.mark.parametrize(
    ("text", "name", "goes_on"),
    [
        ("forward example. 192.0.2.1", "a.example.", False),
        ("forward example. 192.0.2.1", "a.other.", True),
        ("forward . 192.0.2.1 {\n except example\n}", "a.example.", True),
    ],
)
def test_what_goes_on_to_the_next_plugin(text: str, name: str, goes_on: bool) -> None:
    answer = serve(made(text, Resolver("x")), query(name))
    assert (answer.answer[0].name == "next.") == goes_on


@pytest.mark.parametrize(
    ("option", "rcode", "goes_on"),
    [
        ("next NXDOMAIN", wire.NXDOMAIN, True),
        ("next NXDOMAIN", wire.SERVFAIL, False),
        ("next_on_nodata", wire.NOERROR, False),  # there is an answer
    ],
)
def test_what_goes_on_to_the_next_forward(option: str, rcode: int, goes_on: bool) -> None:
    first, second = made(f"forward . 192.0.2.1 {{\n {option}\n}}", Resolver("x", rcode)), Resolver("second")
    alone = serve(first, query("a.example."))
    assert alone.rcode == rcode, "other plugins are not asked"
    first.next = made("forward . 192.0.2.2", second).serve
    serve(first, query("a.example."))
    assert (second.asked == ["udp"]) == goes_on


def test_failover_by_code() -> None:
    refusing, good = Resolver("refusing", wire.REFUSED), Resolver("good")
    text = "forward . 192.0.2.1 {\n policy sequential\n failover REFUSED SERVFAIL\n}"
    assert serve(made(text, refusing, good), query("a.example.")).rcode == wire.NOERROR
    assert serve(made(text, refusing), query("a.example.")).rcode == wire.REFUSED


def test_protocols() -> None:
    over_tcp = query("a.example.")
    over_tcp.protocol = "tcp"
    resolver = Resolver("x", flags=wire.TC)
    serve(made("forward . 192.0.2.1", resolver), over_tcp)
    serve(made("forward . 192.0.2.1 {\n force_tcp\n}", resolver), query("a.example."))
    serve(made("forward . 192.0.2.1 {\n prefer_udp\n}", resolver), over_tcp)
    assert resolver.asked == ["tcp", "tcp", "udp", "tcp"]


def test_too_many_at_once_are_refused() -> None:
    class Slow(Resolver):
        async def exchange(self, query: Query, protocol: str) -> Answer:
            await asyncio.sleep(0)
            return await super().exchange(query, protocol)

    plugin = made("forward . 192.0.2.1 {\n max_concurrent 1\n}", Slow("x"))

    async def both() -> list[Answer]:
        return list(await asyncio.gather(*(plugin.serve(query(name)) for name in ("a.example.", "b.example."))))

    assert [a.rcode for a in asyncio.run(both())] == [wire.NOERROR, wire.REFUSED]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1.2.3.4", ("1.2.3.4", 53)),
        ("1.2.3.4:5353", ("1.2.3.4", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:54", ("2001:db8::1", 54)),
        ("example.org", None),
        ("1.2.3.4:x", None),
    ],
)
def test_addresses(text: str, place: tuple[str, int] | None) -> None:
    assert forward.address_of(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "forward .",
        "forward . nowhere",
        "forward . https://1.2.3.4",
        "forward . 1.2.3.4 {\n policy best\n}",
        "forward . 1.2.3.4 {\n failover NOERROR\n}",
        "forward . 1.2.3.4 {\n foo\n}",
        "forward . " + " ".join(f"192.0.2.{n}" for n in range(16)),
    ],
)
def test_mistakes(text: str) -> None:
    with pytest.raises(CorefileError, match="Corefile:"):
        forward.parse(directive(text))
