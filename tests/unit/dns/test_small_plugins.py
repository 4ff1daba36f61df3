"""Plug-ins of a few lines, each with something behind it."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.dns import wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugin import BlockContext, Plugin, ServeError
from pybernetes.dns.plugins import (
    acl,
    any,
    autopath,
    bufsize,
    cancel,
    dns64,
    errors,
    forward,
    header,
    kubernetes,
    loadbalance,
    local,
    minimal,
    nsid,
    timeouts,
    whoami,
)
from pybernetes.dns.wire import Answer, Query

from .chains import Behind, address, context, directive, query, serve
from .test_records import Fake


def behind(plugin: Plugin | None, answer: Any) -> Plugin:
    assert plugin is not None
    plugin.next = Behind(answer)
    return plugin


def setup(module: Any, text: str, answer: Any, block: BlockContext | None = None) -> Plugin:
    return behind(module.setup(directive(text), block or context()), answer)


def from_(host: str, name: str = "a.example.", type: int = wire.A) -> Query:
    asked = query(name, type)
    asked.client = (host, 40000)
    return asked


def test_any() -> None:
    plugin = setup(any, "any", address("behind."))
    (record,) = serve(plugin, query("a.example.", wire.ANY)).answer
    assert (record.type, record.ttl, record.data) == (wire.HINFO, 8482, b"\x0dANY obsoleted\x0cSee RFC 8482")
    assert serve(plugin, query("a.example.")).answer[0].name == "behind."


@pytest.mark.parametrize(
    ("host", "name", "type", "owner"),
    [
        ("192.0.2.1", "a.", wire.A, "_udp.a."),
        ("fe80::1%eth0", "a.", wire.AAAA, "_udp.a."),
        ("::1", ".", wire.AAAA, "_udp."),
    ],
)
def test_whoami(host: str, name: str, type: int, owner: str) -> None:
    answer = serve(setup(whoami, "whoami", None), from_(host, name))
    own, port = answer.additional
    assert (answer.answer, own.type, own.name, port.name, port.data[4:6]) == ([], type, name, owner, b"\x9c\x40")


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (Answer(0, address("a.").answer, [wire.soa_record("a.", 1, 1)], address("b.").answer), False),
        (Answer(wire.NXDOMAIN, [], [wire.soa_record("a.", 1, 1)]), True),
        (Answer(0, [], [wire.name_record("a.", wire.NS, "b.", 1)], address("b.").answer), True),
    ],
)
def test_minimal(answer: Answer, whole: bool) -> None:
    assert bool(serve(setup(minimal, "minimal", answer), query("a.")).authority) == whole


def test_bufsize() -> None:
    for size, edns, rest in ((4096, True, 1232), (1000, True, 1000), (512, False, 512)):
        asked = query("a.example.")
        asked.edns, asked.size = edns, size
        serve(setup(bufsize, "bufsize", Answer()), asked)
        assert asked.size == rest


def test_nsid() -> None:
    plugin = setup(nsid, "nsid two words", lambda q: address(q.name))
    asked = query("a.example.")
    asked.edns, asked.options = True, ((3, b""), (10, b"cookie"), (8, b"subnet"))
    assert serve(plugin, asked).options == ((10, b"cookie"), (3, b"two words"))
    assert serve(plugin, query("a.example.")).options is None


@pytest.mark.parametrize(
    ("rules", "flags", "passed"),
    [
        ("response set ra aa", wire.RA | wire.AA | wire.RD, wire.RD),
        ("response clear aa rd", 0, wire.RD),
        ("query clear rd", wire.AA | wire.RD, 0),
        ("response set ra\n response clear ra", wire.AA | wire.RD, wire.RD),
    ],
)
def test_header(rules: str, flags: int, passed: int) -> None:
    seen: list[int] = []

    def answer(asked: Query) -> Answer:
        seen.append(asked.flags)
        return Answer(flags=wire.AA)

    asked = query("a.example.")
    reply = serve(setup(header, f"header {{\n {rules}\n}}", answer), asked)
    sent = int.from_bytes(wire.encode_answer(asked, reply)[2:4], "big")
    assert (sent & (wire.AA | wire.RA | wire.RD), seen) == (flags, [passed])


@pytest.mark.parametrize(
    ("name", "type", "rcode", "answers", "denies"),
    [
        ("localhost.", wire.A, wire.NOERROR, bytes([127, 0, 0, 1]), ""),
        ("LOCALHOST.", wire.AAAA, wire.NOERROR, bytes(15) + b"\1", ""),
        ("x.localhost.", wire.A, wire.NOERROR, bytes([127, 0, 0, 1]), ""),
        ("localhost.example.", wire.A, wire.NOERROR, bytes([127, 0, 0, 1]), ""),
        ("localhost.example.", wire.MX, wire.NOERROR, None, "localhost.example."),
        ("localhost.", wire.NS, wire.NOERROR, wire.name_bytes("localhost."), ""),
        ("1.0.0.127.in-addr.arpa.", wire.PTR, wire.NOERROR, wire.name_bytes("localhost."), ""),
        ("2.0.0.127.in-addr.arpa.", wire.PTR, wire.NXDOMAIN, None, "127.in-addr.arpa."),
        ("127.in-addr.arpa.", wire.A, wire.NOERROR, None, "127.in-addr.arpa."),
        ("example.", wire.A, wire.NOERROR, bytes([192, 0, 2, 1]), ""),
    ],
)
def test_local(name: str, type: int, rcode: int, answers: bytes | None, denies: str) -> None:
    answer = serve(setup(local, "local", address("behind.")), query(name, type))
    assert (answer.rcode, answer.answer[0].data if answer.answer else None) == (rcode, answers)
    assert [record.name for record in answer.authority] == ([denies] if denies else [])


def test_local_without_prefix() -> None:
    plugin = setup(local, "local {\n disable_localhost_prefix\n}", address("behind."))
    assert serve(plugin, query("localhost.example.")).answer[0].name == "behind."
    assert serve(plugin, query("x.localhost.")).answer[0].data == bytes([127, 0, 0, 1])


def test_cancel() -> None:
    async def run() -> None:
        clock = VirtualClock(0.0)
        plugin = cancel.setup(directive("cancel 100ms"), context())
        plugin.clock = clock

        async def slowly(asked: Query) -> Answer:
            await clock.sleep(1)
            return Answer()

        plugin.next = slowly
        task = asyncio.ensure_future(plugin.serve(query("a.example.")))
        await clock.advance(0.2)
        with pytest.raises(ServeError, match="context deadline exceeded"):
            await task

    asyncio.run(run())


def test_timeouts() -> None:
    block = context()
    text = "timeouts {\n read 5\n write 1m\n idle 30s\n maxtcpqueries 3\n}"
    assert timeouts.setup(directive(text), block) is None
    limits = block.limits
    assert (limits.read, limits.write, limits.idle, limits.queries) == (5, 60, 30, 3)


@pytest.mark.parametrize(
    ("lines", "host", "type", "action"),
    [
        ("block net 192.0.2.0/24", "192.0.2.9", wire.A, "block"),
        ("block net 192.0.2.0/24", "192.0.3.9", wire.A, ""),
        ("block net 192.0.2.9", "192.0.2.9", wire.A, "block"),
        ("block net 2001:db8::/32", "2001:db8::9%eth0", wire.A, "block"),
        ("filter type AAAA", "192.0.2.9", wire.AAAA, "filter"),
        ("filter type AAAA", "192.0.2.9", wire.A, ""),
        ("allow net 192.0.2.0/28\n block", "192.0.2.9", wire.A, "allow"),
        ("allow net 192.0.2.0/28\n drop", "192.0.2.99", wire.A, "drop"),
        ("block type * net *", "192.0.2.99", wire.A, "block"),
        ("block net 10.0.0.0/8 192.0.2.0/24 type A", "192.0.2.99", wire.A, "block"),
    ],
)
def test_acl(lines: str, host: str, type: int, action: str) -> None:
    plugin = setup(acl, f"acl {{\n {lines}\n}}", address("behind."))
    answer = serve(plugin, from_(host, "a.example.", type))
    expected = {
        "": address("behind."),
        "allow": address("behind."),
        "drop": Answer(silent=True, plugin="acl"),
        "block": Answer(wire.REFUSED, options=((15, b"\0\x0f"),), plugin="acl"),
        "filter": Answer(wire.NOERROR, options=((15, b"\0\x11"),), plugin="acl"),
    }
    assert answer == expected[action]


def test_acl_by_zone_and_rule() -> None:
    block = context()
    plugin = acl.setup(directive("acl example {\n block\n}"), block)
    assert plugin is not None
    block.plugins.append(plugin)
    assert acl.setup(directive("acl org {\n filter\n}"), block) is None
    behind(plugin, address("behind."))
    codes = [serve(plugin, query(name)).options for name in ("a.example.", "a.org.", "a.net.")]
    assert codes == [((15, b"\0\x0f"),), ((15, b"\0\x11"),), None]
    assert block.metrics.acl_blocked.samples == {("dns://:53", "example.", ""): 1}


@pytest.mark.parametrize(
    ("prefix", "address"),
    [  # RFC 6052, section 2.4
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
    ],
)
def test_addresses_in_addresses(prefix: str, address: str) -> None:
    import ipaddress

    data = dns64.embedded(ipaddress.IPv6Network(prefix), bytes([192, 0, 2, 33]))
    assert ipaddress.IPv6Address(data) == ipaddress.IPv6Address(address)


@pytest.mark.parametrize(
    ("text", "host", "first", "translated"),
    [
        ("dns64", "2001:db8::1", Answer(authority=[wire.soa_record("example.", 1, 9)]), True),
        ("dns64", "192.0.2.1", Answer(), False),
        ("dns64 {\n allow_ipv4\n}", "192.0.2.1", Answer(), True),
        ("dns64", "2001:db8::1", address("a.example.", "::9"), False),
        ("dns64 {\n translate_all\n}", "2001:db8::1", address("a.example.", "::9"), True),
        ("dns64", "2001:db8::1", Answer(wire.NXDOMAIN), False),
        ("dns64", "2001:db8::1", Answer(wire.SERVFAIL), True),
    ],
)
def test_dns64(text: str, host: str, first: Answer, translated: bool) -> None:
    block = context()
    alias = wire.name_record("a.example.", wire.CNAME, "b.example.", 700)
    block.lookup = Behind(Answer(0, [alias, *address("b.example.", ttl=700).answer], flags=wire.TC))
    answer = serve(setup(dns64, text, first, block), from_(host, "a.example.", wire.AAAA))
    if translated:
        longest = 9 if first.authority else 600
        assert [(r.type, r.ttl) for r in answer.answer] == [(wire.CNAME, 700), (wire.AAAA, longest)]
        assert (answer.rcode, answer.flags) == (0, wire.TC)
    else:
        assert answer == first


SEARCH = ["default.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", ""]


@pytest.mark.parametrize(
    ("asked", "there", "passed"),
    [
        ("web.default.svc.cluster.local.", "web.default.svc.cluster.local.", 1),
        ("web.other.default.svc.cluster.local.", "web.other.svc.cluster.local.", 2),
        ("example.org.default.svc.cluster.local.", "example.org.", 4),
        ("example.org.svc.cluster.local.", "example.org.", 1),  # not the first of the list: it is not walked
        ("nobody.default.svc.cluster.local.", "", 4),
        ("example.org.", "example.org.", 1),
        ("default.svc.cluster.local.", "", 1),
    ],
)
def test_autopath(asked: str, there: str, passed: int) -> None:
    plugin = autopath.AutoPath(["."], SEARCH, "", context())
    next_one = Behind(lambda q: address(q.name) if q.key == there else Answer(wire.NXDOMAIN, flags=wire.AA))
    plugin.next = next_one
    answer = serve(plugin, query(asked))
    assert len(next_one.asked) == passed
    if there and passed > 1:
        alias, record = answer.answer
        assert (alias.name, alias.type, wire.read_name(alias.data, 0)[0]) == (asked, wire.CNAME, there)
        assert record.name == there
    elif answer.answer:
        assert answer.answer[0].name == asked
    else:
        assert answer.rcode == wire.NXDOMAIN


def test_autopath_knows_pods() -> None:
    block = context()
    options = kubernetes.parse(directive("kubernetes cluster.local {\n pods verified\n}"), block)
    block.plugins.append(kubernetes.Kubernetes(options, block, Fake()))
    plugin = autopath.setup(directive("autopath @kubernetes"), block)
    asyncio.run(plugin.prepare())
    next_one = Behind(lambda q: address(q.name) if q.key == "example.org." else Answer(wire.NXDOMAIN))
    plugin.next = next_one
    name = "example.org.podns.svc.cluster.local."
    assert len(serve(plugin, from_("10.240.0.1", name)).answer) == 2
    assert serve(plugin, from_("10.240.0.99", name)).rcode == wire.NXDOMAIN, "nobody knows this one's list"


def test_a_search_list_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("domain x\nsearch A.example b.example\nnameserver 192.0.2.1\n")
    assert autopath.search_list(tmp_path / "resolv.conf") == ["a.example.", "b.example."]
    with pytest.raises(CorefileError, match="failed to parse"):
        autopath.setup(directive(f"autopath {tmp_path}/nowhere"), context())


def test_addresses_of_preferred_networks_come_first() -> None:
    answer = Answer(0, [wire.address_record("a.", ip, 5) for ip in ("192.0.2.1", "10.0.0.1", "::1", "10.0.0.2")])
    plugin = setup(loadbalance, "loadbalance {\n prefer ::/0 10.0.0.0/8\n}", answer)
    for _ in range(20):
        order = [len(r.data) * 1000 + r.data[0] for r in serve(plugin, query("a.")).answer]
        assert order == [16000, 4010, 4010, 4192]


def test_errors_that_are_alike_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        clock = VirtualClock(0.0)
        text = "errors {\n consolidate 5m timeout$ warning show_first\n consolidate 1m refused\n}"
        plugin = errors.setup(directive(text), context())
        plugin.clock = clock

        async def fails(asked: Query) -> Answer:
            raise ServeError(asked.name.partition(".")[0])

        plugin.next = fails
        for name in ("timeout.a.", "timeout.b.", "refused.", "refused.", "other."):
            assert (await plugin.serve(query(name))).rcode == wire.SERVFAIL
        await clock.advance(61)
        await plugin.serve(query("refused."))
        await plugin.stop()

    asyncio.run(run())
    assert [(r.levelname, r.message.removeprefix("plugin/errors: ")) for r in caplog.records] == [
        ("WARNING", "2 timeout.a. A: timeout"),
        ("ERROR", "2 other. A: other"),
        ("ERROR", "2 errors like 'refused' occurred in last 1m0s"),
        ("WARNING", "2 errors like 'timeout$' occurred in last 5m0s"),
        ("ERROR", "1 errors like 'refused' occurred in last 1m0s"),
    ]


@pytest.mark.parametrize(
    ("module", "text", "message"),
    [
        (any, "any x", "Wrong argument count or unexpected line ending after 'x'"),
        (any, "any {\n foo\n}", "unknown property 'foo'"),
        (whoami, "whoami x", "Wrong argument count"),
        (minimal, "minimal x", "Wrong argument count"),
        (bufsize, "bufsize 100", "Wrong argument count"),
        (bufsize, "bufsize 5000", "Wrong argument count"),
        (nsid, "nsid " + "x" * 300, "would leave no room"),
        (header, "header", "Wrong argument count"),
        (header, "header {\n foo\n}", "invalid selector=foo should be query or response"),
        (header, "header {\n response set\n}", "invalid length for flags, at least one should be provided"),
        (header, "header {\n query foo rd\n}", "unknown flag action=foo, should be set or clear"),
        (header, "header {\n query set xx\n}", "unknown/unsupported flag=xx"),
        (local, "local x", "Wrong argument count"),
        (local, "local {\n foo\n}", "unknown property 'foo'"),
        (cancel, "cancel x", 'invalid duration: "x"'),
        (cancel, "cancel -1s", 'invalid negative duration: "-1s"'),
        (timeouts, "timeouts", "timeouts block with no timeouts specified"),
        (timeouts, "timeouts {\n idle 500ms\n}", "timeout provided '500ms' needs to be between 1 second and 24 hours"),
        (timeouts, "timeouts {\n foo 5s\n}", "unknown option: 'foo'"),
        (timeouts, "timeouts {\n maxtcpqueries 0\n}", "maxtcpqueries provided '0' needs to be -1 (unlimited)"),
        (acl, "acl {\n deny\n}", "unexpected token \"deny\"; expect 'allow', 'block', 'filter' or 'drop'"),
        (acl, "acl {\n block foo\n}", "unexpected token \"foo\"; expect 'type | net'"),
        (acl, "acl {\n block type\n}", 'no token specified in "type" section'),
        (acl, "acl {\n block type FOO\n}", 'unexpected token "FOO"; expect legal QTYPE'),
        (acl, "acl {\n block net 1.2.3\n}", 'illegal CIDR notation "1.2.3/32"'),
        (dns64, "dns64 10.0.0.0/8", "invalid netmask 32 IPv6 address"),
        (dns64, "dns64 64:ff9b::/33", "invalid prefix length"),
        (dns64, "dns64 {\n foo\n}", "unknown property 'foo'"),
        (autopath, "autopath", "no resolv-conf specified"),
        (autopath, "autopath @foo", "foo does not implement the AutoPather interface"),
        (loadbalance, "loadbalance best", "unknown policy: best"),
        (loadbalance, "loadbalance weighted f", "weighted is not there"),
        (loadbalance, "loadbalance {\n prefer x\n}", 'invalid CIDR "x"'),
        (forward, "forward . 192.0.2.1 {\n max_age 5s\n}", "max_age (5s) must not be less than expire (10s)"),
        (forward, "forward . 192.0.2.1 {\n health_check 1s foo\n}", "health_check: unknown option foo"),
        (forward, "forward . 192.0.2.1 {\n read_timeout 0s\n}", "read_timeout must be positive: 0s"),
        (forward, "forward . 192.0.2.1 {\n resolver 192.0.2.1\n}", "resolver is not there"),
        (forward, "forward . 192.0.2.1 {\n source_address x\n}", "invalid IP address: x"),
        (forward, "forward . tls://192.0.2.1 {\n tls nowhere\n}", "tls: "),
        (kubernetes, "kubernetes a {\n ignore foo\n}", "unable to parse ignore value: 'foo'"),
        (kubernetes, "kubernetes a {\n labels ((\n}", "unable to parse label selector value: '(('"),
        (kubernetes, "kubernetes a {\n startup_timeout x\n}", "failed to parse startup_timeout: x"),
        (kubernetes, "kubernetes a {\n zonal\n}", "zonal is not there"),
        (kubernetes, "kubernetes a {\n noendpoints x\n}", "Wrong argument count"),
    ],
)
def test_mistakes(module: Any, text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        module.setup(directive(text), context())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "autopath /etc/hosts",
        "bufsize",
        "cancel",
        "loop",
        "multisocket",
        "nsid",
        "prometheus",
        "ready",
        "reload",
    ],
)
def test_braces_where_there_are_none(name: str) -> None:
    module = importlib.import_module(f"pybernetes.dns.plugins.{name.split()[0]}")
    with pytest.raises(CorefileError, match="unknown property 'foo'"):
        module.setup(directive(f"{name} {{\n foo\n}}"), context())


@pytest.mark.parametrize("module", [nsid, errors])
def test_once_a_block(module: Any) -> None:
    block = context()
    name = module.NAME
    block.plugins.append(module.setup(directive(name), block))
    with pytest.raises(CorefileError, match="this plugin can only be used once per Server Block"):
        module.setup(directive(name), block)
