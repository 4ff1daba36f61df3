"""Rules of rewrite: what is asked instead, and how the answer is turned back. Cases of names are upstream's own."""

from __future__ import annotations

import pytest

from pybernetes.dns import wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugin import ServeError
from pybernetes.dns.plugins.rewrite import Rewrite, rule_of
from pybernetes.dns.rewriting import naptr_replacement, ttl_bounds
from pybernetes.dns.wire import Answer, Query, Record

from .chains import Behind, address, context, directive, query, serve


def made(*rules: str, behind: Behind, lookup: Behind | None = None) -> Rewrite:
    block = context()
    if lookup is not None:
        block.lookup = lookup
    plugin = Rewrite([rule_of(directive(f"rewrite {rule}")) for rule in rules], block)
    plugin.next = behind
    return plugin


@pytest.mark.parametrize(
    ("rule", "asked", "passed"),
    [
        ("name a.example b.example", "a.example.", "b.example."),
        ("name exact a.example b.example", "x.a.example.", "x.a.example."),
        ("name suffix .a.example .b.example", "x.a.example.", "x.b.example."),
        ("name prefix foo bar", "foo.example.com.", "bar.example.com."),
        ("name prefix foo bar", "coredns.foo.", "coredns.foo."),
        ("name prefix foo bar", "food.example.com.", "food.example.com."),  # whole labels: a dot is put behind it
        ("name substring foo bar", "x.foo.example.", "x.bar.example."),
        (r"name regex (.*)-east\.example {1}.east.example", "web-east.example.", "web.east.example."),
        ("name {\n exact a.example b.example\n }", "a.example.", "b.example."),
    ],
)
def test_names(rule: str, asked: str, passed: str) -> None:
    behind = Behind(lambda q: address(q.name))
    serve(made(rule, behind=behind), query(asked))
    assert behind.asked == [(passed, wire.A)]


@pytest.mark.parametrize(
    ("rule", "asked", "owner", "target"),
    [
        ("name a.example b.example", "a.example.", "a.example.", "x.a.example."),
        ("name suffix .a.example .b.example", "w.a.example.", "w.b.example.", "x.w.b.example."),
        ("name suffix .a.example .b.example answer auto", "w.a.example.", "w.a.example.", "x.w.a.example."),
        ("name regex (.*)-e.example {1}.example", "w-e.example.", "w.example.", "x.w.example."),
        ("name regex (.*)-e.example {1}.example answer auto", "w-e.example.", "w-e.example.", "x.w-e.example."),
        (
            "name regex (.*)-e.example {1}.example answer name (.*).example {1}-e.example",
            *("w-e.example.", "w-e.example.", "x.w.example."),
        ),
        (
            "name regex (.*)-e.example {1}.example answer name (.*).example {1}-n.example value (.*).example {1}-v.example",
            *("w-e.example.", "w-n.example.", "x.w-v.example."),
        ),
    ],
)
def test_answers_are_turned_back(rule: str, asked: str, owner: str, target: str) -> None:
    behind = Behind(lambda q: Answer(0, [wire.srv_record(q.name, 1, 2, 3, f"x.{q.name}", 5)]))
    (record,) = serve(made(rule, behind=behind), query(asked, wire.SRV)).answer
    assert (record.name, wire.read_name(record.data, 6)[0]) == (owner, target)
    assert record.data[:6] == b"\0\1\0\2\0\3"


@pytest.mark.parametrize(
    ("type", "before", "behind"),
    [
        (wire.MX, b"\0\5", b""),
        (wire.NS, b"", b""),
        (wire.SOA, b"", wire.name_bytes("hostmaster.b.example.") + bytes(20)),
        (wire.NAPTR, b"\0\1\0\2\1S\3SIP\0", b""),
    ],
)
def test_values_of_other_types(type: int, before: bytes, behind: bytes) -> None:
    data = before + wire.name_bytes("x.b.example.") + behind
    plugin = made("name a.example b.example", behind=Behind(lambda q: Answer(0, [Record(q.name, type, 5, data)])))
    (record,) = serve(plugin, query("a.example.", type)).answer
    assert record.data == before + wire.name_bytes("x.a.example.") + behind


def test_data_that_end_early_have_no_name() -> None:
    assert naptr_replacement(b"\0\1\0\2\7abc") is None


def test_rules_stop_or_go_on() -> None:
    first, second = "name a.example b.example", "name b.example c.example"
    for word, passed in (("stop", "b.example."), ("continue", "c.example.")):
        behind = Behind(lambda q: address(q.name))
        answer = serve(made(f"{word} {first}", second, behind=behind), query("a.example."))
        assert behind.asked == [(passed, wire.A)]
        assert answer.answer[0].name == "a.example."


def test_types_and_classes() -> None:
    behind = Behind(Answer(0))
    serve(made("type ANY HINFO", behind=behind), query("a.example.", wire.ANY))
    assert behind.asked == [("a.example.", wire.HINFO)]
    classes: list[int] = []

    def answer(asked: Query) -> Answer:
        classes.append(asked.cls)
        return Answer(0)

    serve(made("class IN CH", behind=Behind(answer)), query("a.example."))
    assert classes == [wire.CHAOS]


@pytest.mark.parametrize(
    ("rule", "ttl", "common"),
    [
        ("ttl a.example 10", 10, None),
        ("ttl exact a.example 10", 10, None),
        ("ttl suffix example 200-", 200, None),
        ("ttl regex ^a -30", 30, None),
        ("ttl other.example 10", 100, None),
        ("ttl a.example 7-9", 9, 60),  # of the cache: one for all records
    ],
)
def test_ttls(rule: str, ttl: int, common: int | None) -> None:
    def answer(asked: Query) -> Answer:
        reply = address(asked.name)
        reply.ttl = common
        return reply

    reply = serve(made(rule, behind=Behind(answer)), query("a.example."))
    assert (reply.answer[0].ttl if reply.ttl is None else reply.ttl) == ttl


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("30", (30, 30)),
        ("30-60", (30, 60)),
        ("30-", (30, 2**31 - 1)),
        ("-60", (0, 60)),
        ("-", None),
        ("60-30", None),
        ("x", None),
    ],
)
def test_ttl_bounds(text: str, bounds: tuple[int, int] | None) -> None:
    assert ttl_bounds(text) == bounds


def test_codes() -> None:
    refusing = Behind(Answer(wire.REFUSED))
    assert serve(made("rcode a.example REFUSED NXDOMAIN", behind=refusing), query("a.example.")).rcode == wire.NXDOMAIN
    assert serve(made("rcode a.example 2 3", behind=refusing), query("a.example.")).rcode == wire.REFUSED

    def fails(asked: Query) -> Answer:
        raise ServeError("no next plugin found")

    assert serve(made("rcode a.example 2 3", behind=Behind(fails)), query("a.example.")).rcode == wire.NXDOMAIN
    with pytest.raises(ServeError, match="no next plugin"):  # so that it is told in the log
        serve(made("name a.example b.example", behind=Behind(fails)), query("a.example."))


def test_targets_of_aliases() -> None:
    behind = Behind(
        Answer(0, [wire.name_record("a.example.", wire.CNAME, "b.cdn.example.", 9), *address("b.cdn.example.").answer])
    )
    lookup = Behind(lambda q: address(q.name, "192.0.2.9"))
    answer = serve(made("cname suffix .cdn.example. .own.example.", behind=behind, lookup=lookup), query("a.example."))
    assert [(r.type, r.data) for r in answer.answer] == [
        (wire.CNAME, wire.name_bytes("b.own.example.")),
        (wire.A, bytes([192, 0, 2, 9])),
    ]
    assert lookup.asked == [("b.own.example.", wire.A)]


@pytest.mark.parametrize(
    ("rule", "before", "passed", "echoed"),
    [
        ("edns0 local set 0xffee 0x6162", (), ((0xFFEE, b"ab"),), ((0xFFEE, b"ab"),)),
        ("edns0 local set 0xffee 0x6162 revert", (), ((0xFFEE, b"ab"),), ()),
        (
            "edns0 local append 65001 {client_ip}",
            (),
            ((65001, bytes([10, 244, 0, 9])),),
            ((65001, bytes([10, 244, 0, 9])),),
        ),
        ("edns0 local replace 0xffee x", (), None, ()),
        ("edns0 local replace 0xffee x revert", ((0xFFEE, b"o"),), ((0xFFEE, b"x"),), ((0xFFEE, b"o"),)),
        ("edns0 local unset 0xffee", ((0xFFEE, b"o"), (10, b"c")), ((10, b"c"),), ((10, b"c"),)),
        ("edns0 nsid set", (), ((3, b""),), ((3, b""),)),
        ("edns0 subnet set 24 56", (), ((8, b"\0\1\x18\0\x0a\xf4\0"),), ((8, b"\0\1\x18\0\x0a\xf4\0"),)),
    ],
)
def test_options(
    rule: str, before: wire.EdnsOptions, passed: wire.EdnsOptions | None, echoed: wire.EdnsOptions
) -> None:
    options: list[wire.EdnsOptions] = []

    def answer(asked: Query) -> Answer:
        options.append(asked.options)
        return address(asked.name)

    asked = query("a.example.")
    asked.edns, asked.options = bool(before), before
    reply = serve(made(rule, behind=Behind(answer)), asked)
    assert options == [before if passed is None else passed]
    assert (reply.options or ()) == echoed


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("name a", "too few arguments for a name rule"),
        (
            "name some a b",
            "name rule supports only exact, prefix, suffix, substring, and regex name matching, received: some",
        ),
        ("name regex ( x", "invalid regex matching pattern: ("),
        ("name regex a {1} ", "uses more subexpressions than its corresponding matching regex pattern (a)"),
        ("name regex (a) {1} auto", "invalid arguments for regex rule"),
        ("name regex (a) {1} x auto", "exceeded the number of arguments for a non-answer rule argument for regex rule"),
        ("name regex (a) {1} answer name a", "name answer rule for regex rule: 2 arguments required"),
        ("name regex (a) {1} answer some a", 'invalid type "some" for answer rule for regex rule'),
        (
            "name regex (a) {1} answer auto name a b",
            "auto name answer rule cannot be combined with explicit name anwer rules",
        ),
        ("answer name a b", "response rewrites must begin with a name rule"),
        ("nonsense a", 'invalid rule type "nonsense"'),
        ("class IN", "class rules must have exactly two arguments"),
        ("type A NONSENSE", 'invalid type "NONSENSE"'),
        ("ttl a.example x", "invalid TTL 'x' for a ttl rule"),
        ("ttl some a.example 5", "ttl rule supports only exact, prefix, suffix, substring, and regex name matching"),
        ("rcode a.example FOO 3", "invalid matching RCODE 'FOO' for a rcode rule"),
        ("cname some a b", "unknown cname rewrite type: some"),
        ("edns0 local add 1 2", 'invalid action: "add"'),
        ("edns0 local set 1 {some}", 'unsupported variable name "{some}"'),
        ("edns0 local set 99999 x", 'strconv.ParseUint: parsing "99999": value out of range'),
        ("edns0 subnet set 33 1", "invalid IPv4 bit mask length 33"),
        ("name regex " + "a" * 10001 + " x", "regex pattern too long: 10001 > 10000"),
    ],
)
def test_mistakes_are_told_as_upstream_does(rule: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        rule_of(directive(f"rewrite {rule}"))
    assert "Corefile:2 - Error during parsing: plugin/rewrite: " in str(caught.value)
    assert message in str(caught.value)
