"""forward FROM TO...: asks other resolvers, over UDP, TCP or TLS (upstream: plugin/forward)."""

from __future__ import annotations

import ipaddress
import random
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from pybernetes.api.durations import format_duration, parse_duration

from ..corefile import Directive, normalized
from ..plugin import BlockContext, Plugin, ServeError, matching
from ..upstream import Health, NoAnswer, Place, Timing, Upstream
from ..wire import NOERROR, RCODE_NUMBERS, RCODES, REFUSED, TC, Answer, Query, WireError, absolute, name_bytes, within

NAME = "forward"
TOTAL_SECONDS = 5.0  # for all tries of a query together
MAX_UPSTREAMS = 15
MAX_FILE = 1 << 16  # characters of a resolv.conf
MAX_FAILS = 2
TRIES_EACH = 2  # of each resolver, on the average
MOST_TRIES = 100  # where the Corefile sets no limit: what fails at once would be tried for all that time
PORT, TLS_PORT = 53, 853

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
    to: list[Place]
    excepted: list[str] = field(default_factory=list)
    policy: Policy = randomly
    max_fails: int = MAX_FAILS
    max_concurrent: int = 0
    max_tries: int | None = None  # 0: until the time is over
    timing: Timing = field(default_factory=Timing)
    health: Health = field(default_factory=Health)
    force_tcp: bool = False
    prefer_udp: bool = False
    failfast: bool = False
    failover: frozenset[int] = frozenset()
    next_codes: frozenset[int] = frozenset()
    next_on_nodata: bool = False
    tls_files: list[str] = field(default_factory=list)
    server_name: str = ""
    source: str = ""


class Forward(Plugin):
    """Tries one resolver after the other until one answers, or the time is over."""

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
        if not within(query.key, options.zone):
            return await self.next(query)
        if query.key != options.zone and matching(query.key, options.excepted):
            return await self.next(query)
        if 0 < options.max_concurrent <= self._concurrent:
            self._metrics.forward_rejects.inc()
            return Answer(REFUSED, plugin=NAME)
        self._concurrent += 1
        try:
            answer = await self._try_all(query)
        finally:
            self._concurrent -= 1
        no_data = options.next_on_nodata and answer.rcode == NOERROR and not answer.answer
        if (no_data or answer.rcode in options.next_codes) and self._has_follower:
            return await self.next(query)
        return answer

    @property
    def _has_follower(self) -> bool:
        """Whether another `forward` comes next: only that one is asked instead."""
        return isinstance(getattr(self.next, "__self__", None), Forward)

    async def _try_all(self, query: Query) -> Answer:
        options, order = self._options, self._options.policy(self._upstreams)
        deadline = self.clock.monotonic() + TOTAL_SECONDS
        tries = TRIES_EACH * len(order) if options.max_tries is None else options.max_tries or MOST_TRIES
        problem, last = "no healthy proxies", None
        down, failed, failovers, place = 0, 0, 0, 0
        while failed < tries and self.clock.monotonic() < deadline:
            if place == len(order):
                place, down = 0, 0
            upstream = order[place]
            place += 1
            if upstream.down:
                down += 1
                if down < len(order):
                    continue
                self._metrics.health_broken.inc()
                if options.failfast:
                    break
                upstream = random.choice(order)  # health checks are taken to have failed, not all resolvers
            started = self.clock.monotonic()
            try:
                last = await self._ask(upstream, query)
            except NoAnswer as error:
                problem = str(error)
                failed += 1
                if down >= len(order):
                    break
                continue
            rcode = RCODES.get(last.rcode) or str(last.rcode)
            self._metrics.forward_duration.observe(self.clock.monotonic() - started, "forward", str(upstream), rcode)
            failovers += last.rcode in options.failover
            if last.rcode not in options.failover or failovers >= len(order):
                break
        if last is None:
            raise ServeError(problem)
        last.plugin = NAME
        return last

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
    context = _context(directive, options) if any(place.tls for place in options.to) else None
    upstreams = [
        Upstream(place, block.metrics, options.max_fails, options.health, options.timing, context, options.source)
        for place in options.to
    ]
    return Forward(options, block, upstreams)


def _context(directive: Directive, options: ForwardOptions) -> ssl.SSLContext:
    """tls [CERT KEY] [CA]: without files by the host's authorities."""
    files = options.tls_files
    try:
        context = ssl.create_default_context(cafile=files[-1] if len(files) in (1, 3) else None)
        if len(files) > 1:
            context.load_cert_chain(files[0], files[1])
    except (OSError, ssl.SSLError) as error:
        raise directive.error(f"plugin/forward: tls: {error}") from None
    return context


def parse(directive: Directive) -> ForwardOptions:
    """The directive and its properties. CorefileError."""
    if len(directive.arguments) < 2:
        raise directive.wrong_arguments()
    zone, *to = directive.arguments
    options = ForwardOptions(normalized(zone)[0], [])
    for prop in directive.properties:
        _property(prop, options)
    if 0 < options.timing.max_age < options.timing.expire:
        ages = f"max_age ({format_duration(options.timing.max_age)}) must not be less than expire"
        raise directive.error(f"plugin/forward: {ages} ({format_duration(options.timing.expire)})")
    places = [place for text in to for place in _places(directive, text)]
    options.to = [_named(directive, place, options) for place in dict.fromkeys(places)]
    if len(options.to) > MAX_UPSTREAMS:
        raise directive.error(f"plugin/forward: more than {MAX_UPSTREAMS} TOs configured: {len(options.to)}")
    if options.force_tcp:
        options.health = replace(options.health, protocol="tcp")
    return options


def _named(directive: Directive, place: Place, options: ForwardOptions) -> Place:
    """With the name that its certificate has to be for."""
    if not place.tls or not options.server_name:
        return place
    if place.server_name:
        both = f"both forward ('{options.server_name}') and proxy level ('{place.server_name}') TLS servernames are set"
        raise directive.error(f"plugin/forward: {both} for upstream proxy '{place}'")
    return replace(place, server_name=options.server_name)


def _places(directive: Directive, text: str) -> list[Place]:
    """An address, one with a port, either behind tls://, or a file with nameserver lines."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in ("dns", "tls"):
        wrong = f"'{scheme}' is not supported as a destination protocol in forward: {rest}"
        raise directive.error(f"plugin/forward: {wrong}")
    tls = bool(separator) and scheme == "tls"
    server_name = ""
    if tls and "%" in rest:
        rest, server_name = _split_name(rest)
    address = address_of(rest if separator else text, TLS_PORT if tls else PORT)
    if address is not None:
        return [Place(*address, tls, server_name)]
    try:
        content = Path(text).read_text()[:MAX_FILE]
    except OSError:
        raise directive.error(f'plugin/forward: not an IP address or file: "{text}"') from None
    servers = [w[1] for w in map(str.split, content.splitlines()) if len(w) > 1 and w[0] == "nameserver"]
    places = [Place(*address) for address in map(address_of, servers) if address is not None]
    if not places:
        raise directive.error(f'plugin/forward: no nameservers found in "{text}"')
    return places


def _split_name(text: str) -> tuple[str, str]:
    """(address with port, name) of 9.9.9.9%dns.quad9.net:853 or [2620:fe::fe%dns.quad9.net]:853."""
    host, _, name = text.rpartition("%")
    name, colon, port = name.partition(":")
    if host.startswith("["):
        host, name = f"{host}]", name.removesuffix("]")
    return f"{host}{colon}{port}", name


def address_of(text: str, default: int = PORT) -> tuple[str, int] | None:
    """(address, port) of 1.2.3.4, 1.2.3.4:53, 2001::1, [2001::1]:53; None for anything else."""
    host, port = text, default
    if text.startswith("["):
        host, _, number = text[1:].partition("]")
        if number:
            port = int(number[1:]) if number[1:].isdecimal() and len(number) < 7 else -1
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
        port = int(number) if number.isdecimal() and len(number) < 6 else -1
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (host, port) if 0 < port < 65536 else None


def _property(prop: Directive, options: ForwardOptions) -> None:
    reader = PROPERTIES.get(prop.name)
    if reader is None:
        raise prop.error(f"plugin/forward: unknown property '{prop.name}'")
    reader(prop, options)


Reader = Callable[[Directive, ForwardOptions], None]


def _switch(name: str) -> Reader:
    def read(prop: Directive, options: ForwardOptions) -> None:
        if prop.arguments:
            raise prop.wrong_arguments()
        setattr(options, name, True)

    return read


def _number(name: str) -> Reader:
    def read(prop: Directive, options: ForwardOptions) -> None:
        text = prop.one()
        if text.removeprefix("-").isdecimal() and text.startswith("-"):
            raise prop.error(f"plugin/forward: {prop.name} can't be negative: {text}")
        if not text.isdecimal() or len(text) > 9:
            raise prop.error(f'plugin/forward: strconv.ParseUint: parsing "{text}": invalid syntax')
        setattr(options, name, int(text))

    return read


def _time(name: str) -> Reader:
    def read(prop: Directive, options: ForwardOptions) -> None:
        seconds = _seconds(prop, prop.one())
        if prop.name == "read_timeout" and seconds <= 0:
            raise prop.error(f"plugin/forward: read_timeout must be positive: {format_duration(seconds)}")
        if seconds < 0:
            raise prop.error(f"plugin/forward: {prop.name} can't be negative: {format_duration(seconds)}")
        options.timing = replace(options.timing, **{name: seconds})

    return read


def _seconds(prop: Directive, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise prop.error(f"plugin/forward: {error}") from None


def _except(prop: Directive, options: ForwardOptions) -> None:
    if not prop.arguments:
        raise prop.wrong_arguments()
    options.excepted += [zone for argument in prop.arguments for zone in normalized(argument)]


def _policy(prop: Directive, options: ForwardOptions) -> None:
    if prop.one() not in POLICIES:
        raise prop.error(f"plugin/forward: unknown policy '{prop.arguments[0]}'")
    options.policy = POLICIES[prop.arguments[0]]()


def _health(prop: Directive, options: ForwardOptions) -> None:
    """DURATION [no_rec] [domain NAME]"""
    if not prop.arguments:
        raise prop.wrong_arguments()
    interval = _seconds(prop, prop.arguments[0])
    if interval < 0:
        raise prop.error(f"plugin/forward: health_check can't be negative: {format_duration(interval)}")
    health, words = Health(interval), list(prop.arguments[1:])
    while words:
        word = words.pop(0)
        if word == "no_rec":
            health = replace(health, recursion=False)
        elif word == "domain" and words:
            health = replace(health, domain=_domain(prop, words.pop(0)))
        elif word == "domain":
            raise prop.wrong_arguments()
        else:
            raise prop.error(f"plugin/forward: health_check: unknown option {word}")
    options.health = health


def _domain(prop: Directive, text: str) -> str:
    domain = absolute(text.lower())
    try:
        name_bytes(domain)
    except WireError:
        raise prop.error(f"plugin/forward: health_check: invalid domain name {text}") from None
    return domain


def _codes(name: str) -> Reader:
    def read(prop: Directive, options: ForwardOptions) -> None:
        if not prop.arguments:
            raise prop.wrong_arguments()
        for code in prop.arguments:
            if code.upper() not in RCODE_NUMBERS:
                raise prop.error(f"plugin/forward: {code} is not a valid rcode")
            if prop.name == "failover" and RCODE_NUMBERS[code.upper()] == NOERROR:
                raise prop.error("plugin/forward: NoError cannot be used in failover")
        codes = {RCODE_NUMBERS[code.upper()] for code in prop.arguments}
        setattr(options, name, getattr(options, name) | codes)

    return read


def _tls(prop: Directive, options: ForwardOptions) -> None:
    if len(prop.arguments) > 3:
        raise prop.wrong_arguments()
    options.tls_files = prop.arguments


def _server_name(prop: Directive, options: ForwardOptions) -> None:
    options.server_name = prop.one()


def _source(prop: Directive, options: ForwardOptions) -> None:
    try:
        options.source = str(ipaddress.ip_address(prop.one()))
    except ValueError:
        raise prop.error(f"plugin/forward: invalid IP address: {prop.arguments[0]}") from None


def _absent(prop: Directive, options: ForwardOptions) -> None:
    raise prop.error(f"plugin/forward: {prop.name} is not there")


PROPERTIES: dict[str, Reader] = {
    "except": _except,
    "policy": _policy,
    "max_fails": _number("max_fails"),
    "max_concurrent": _number("max_concurrent"),
    "max_connect_attempts": _number("max_tries"),
    "expire": _time("expire"),
    "max_age": _time("max_age"),
    "read_timeout": _time("read"),
    "health_check": _health,
    "force_tcp": _switch("force_tcp"),
    "prefer_udp": _switch("prefer_udp"),
    "failfast_all_unhealthy_upstreams": _switch("failfast"),
    "next_on_nodata": _switch("next_on_nodata"),
    "next": _codes("next_codes"),
    "failover": _codes("failover"),
    "tls": _tls,
    "tls_servername": _server_name,
    "source_address": _source,
    **dict.fromkeys(("max_idle_conns", "doh_method", "resolver"), _absent),
}
