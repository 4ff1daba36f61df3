"""forward FROM TO...: asks other resolvers (upstream: plugin/forward)."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from pybernetes.api.durations import parse_duration

from ..corefile import Directive, normalized
from ..plugin import BlockContext, Plugin, ServeError, matching
from ..upstream import EXPIRE_SECONDS, Health, NoAnswer, Upstream
from ..wire import NOERROR, RCODES, REFUSED, TC, Answer, Query, absolute, within

NAME = "forward"
TOTAL_SECONDS = 5.0  # for all tries of a query together
MAX_UPSTREAMS = 15
MAX_FAILS = 2

Policy = Callable[[Sequence[Upstream]], list[Upstream]]


def randomly(upstreams: Sequence[Upstream]) -> list[Upstream]:
    """Another order for each query."""
    return random.sample(upstreams, len(upstreams))


def sequentially(upstreams: Sequence[Upstream]) -> list[Upstream]:
    """The first one as long as it answers."""
    return list(upstreams)


def in_turn() -> Policy:
    """Each query begins with the next one."""
    numbers: Iterator[int] = count()

    def rotated(upstreams: Sequence[Upstream]) -> list[Upstream]:
        start = next(numbers) % len(upstreams)
        return [*upstreams[start:], *upstreams[:start]]

    return rotated


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": lambda: randomly,
    "round_robin": in_turn,
    "sequential": lambda: sequentially,
}


@dataclass(slots=True)
class ForwardOptions:
    """The directive."""

    zone: str
    to: list[tuple[str, int]]
    excepted: list[str] = field(default_factory=list)
    policy: Policy = randomly
    max_fails: int = MAX_FAILS
    max_concurrent: int = 0
    expire: float = EXPIRE_SECONDS
    health: Health = field(default_factory=Health)
    force_tcp: bool = False
    prefer_udp: bool = False
    failfast: bool = False
    failover: frozenset[int] = frozenset()
    next_codes: frozenset[int] = frozenset()


class Forward(Plugin):
    """Tries one resolver after the other until one answers."""

    name = NAME

    def __init__(self, options: ForwardOptions, block: BlockContext, upstreams: Sequence[Upstream]) -> None:
        super().__init__()
        self._options, self._metrics, self._upstreams = options, block.metrics, upstreams
        self._concurrent = 0

    async def stop(self) -> None:
        for upstream in self._upstreams:
            await upstream.close()

    async def serve(self, query: Query) -> Answer:
        options = self._options
        if not within(query.key, options.zone) or matching(query.key, options.excepted):
            return await self.next(query)
        if 0 < options.max_concurrent <= self._concurrent:
            self._metrics.forward_rejects.inc()
            return Answer(REFUSED, plugin=NAME)
        self._concurrent += 1
        try:
            answer = await self._try_all(query)
        finally:
            self._concurrent -= 1
        return await self.next(query) if answer.rcode in options.next_codes else answer

    async def _try_all(self, query: Query) -> Answer:
        deadline = self.clock.monotonic() + TOTAL_SECONDS
        problem, last = "no healthy proxies", None
        for upstream in self._candidates():
            if self.clock.monotonic() >= deadline:
                break
            started = self.clock.monotonic()
            try:
                last = await self._ask(upstream, query)
            except NoAnswer as error:
                problem = str(error)
                continue
            rcode = RCODES.get(last.rcode) or str(last.rcode)
            self._metrics.forward_duration.observe(self.clock.monotonic() - started, "forward", str(upstream), rcode)
            if last.rcode not in self._options.failover:
                break
        if last is None:
            raise ServeError(problem)
        last.plugin = NAME
        return last

    def _candidates(self) -> list[Upstream]:
        """Those that are up, in the policy's order; all being down, health checks are taken to have failed: one at random."""
        order = self._options.policy(self._upstreams)
        up = [upstream for upstream in order if not upstream.down]
        if up or self._options.failfast:
            return up
        self._metrics.health_broken.inc()
        return [random.choice(order)]

    async def _ask(self, upstream: Upstream, query: Query) -> Answer:
        options = self._options
        protocol = "tcp" if options.force_tcp else "udp" if options.prefer_udp else query.protocol
        answer = await upstream.exchange(query, protocol)
        if answer.flags & TC and options.prefer_udp and protocol == "udp":
            return await upstream.exchange(query, "tcp")
        return answer


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    options = parse(directive)
    upstreams = [
        Upstream(h, p, block.metrics, options.max_fails, options.health, options.expire) for h, p in options.to
    ]
    return Forward(options, block, upstreams)


def parse(directive: Directive) -> ForwardOptions:
    """The directive and its properties. CorefileError."""
    if len(directive.arguments) < 2:
        raise directive.wrong_arguments()
    zone, *to = directive.arguments
    options = ForwardOptions(normalized(zone)[0], [place for text in to for place in _places(directive, text)])
    if len(options.to) > MAX_UPSTREAMS:
        raise directive.error(f"plugin/forward: more than {MAX_UPSTREAMS} TOs configured: {len(options.to)}")
    for prop in directive.properties:
        _property(prop, options)
    return options


def _places(directive: Directive, text: str) -> list[tuple[str, int]]:
    """An address, one with a port, or a file with nameserver lines."""
    if text.startswith(("tls://", "https://")):
        raise directive.error(f"plugin/forward: {text}: only plain DNS is there")
    text = text.removeprefix("dns://")
    place = address_of(text)
    if place is not None:
        return [place]
    try:
        content = Path(text).read_text()
    except OSError:
        raise directive.error(f"plugin/forward: not an IP address or file: {text!r}") from None
    servers = [w[1] for w in map(str.split, content.splitlines()) if len(w) > 1 and w[0] == "nameserver"]
    addresses = [place for place in map(address_of, servers) if place is not None]
    if not addresses:
        raise directive.error(f"plugin/forward: no nameservers found in {text!r}")
    return addresses


def address_of(text: str) -> tuple[str, int] | None:
    """(address, port) of 1.2.3.4, 1.2.3.4:53, 2001::1, [2001::1]:53; None for anything else."""
    host, port = text, 53
    if text.startswith("["):
        host, _, number = text[1:].partition("]")
        if number:
            port = int(number[1:]) if number[1:].isdigit() else -1
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
        port = int(number) if number.isdigit() else -1
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (host, port) if 0 < port < 65536 else None


def _property(prop: Directive, options: ForwardOptions) -> None:
    arguments = prop.arguments
    switches = {"force_tcp", "prefer_udp"}
    if prop.name in switches and not arguments:
        setattr(options, prop.name, True)
    elif prop.name == "failfast_all_unhealthy_upstreams" and not arguments:
        options.failfast = True
    elif prop.name == "except" and arguments:
        options.excepted += [zone for argument in arguments for zone in normalized(argument)]
    elif prop.name == "policy":
        if prop.one() not in POLICIES:
            raise prop.error(f"plugin/forward: unknown policy '{arguments[0]}'")
        options.policy = POLICIES[arguments[0]]()
    elif prop.name in ("max_fails", "max_concurrent"):
        if not prop.one().isdigit():
            raise prop.error(f"plugin/forward: {prop.name} can't be negative or no number: {arguments[0]}")
        setattr(options, prop.name, int(arguments[0]))
    elif prop.name == "health_check" and arguments:
        options.health = _health(prop)
    elif prop.name in ("next", "failover") and arguments:
        codes = _codes(prop)
        if prop.name == "next":
            options.next_codes |= codes
        else:
            options.failover |= codes
    elif prop.name == "expire":
        options.expire = _seconds(prop, prop.one())
    else:
        raise prop.error(f"plugin/forward: unknown property '{prop.name}'")


def _seconds(prop: Directive, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise prop.error(f"plugin/forward: {prop.name}: {error}") from None


def _health(prop: Directive) -> Health:
    words = prop.arguments[1:]
    domain = "."
    if "domain" in words[:-1]:
        position = words.index("domain")
        domain = absolute(words[position + 1])
        del words[position : position + 2]
    if words not in ([], ["no_rec"]):
        raise prop.wrong_arguments()
    return Health(_seconds(prop, prop.arguments[0]), not words, domain)


def _codes(prop: Directive) -> frozenset[int]:
    numbers = {name: number for number, name in RCODES.items() if number != NOERROR}
    unknown = [code for code in prop.arguments if code.upper() not in numbers]
    if unknown:
        raise prop.error(f"plugin/forward: {prop.name}: {unknown[0]!r} is not a valid rcode")
    return frozenset(numbers[code.upper()] for code in prop.arguments)
