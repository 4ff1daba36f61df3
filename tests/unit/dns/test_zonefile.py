"""Master files into records, record data into bytes, and what a zone answers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pybernetes.dns import rdata, wire, zonefile
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugins import auto, file
from pybernetes.dns.rdata import Word, encode
from pybernetes.dns.wire import Answer, Record, name_bytes
from pybernetes.dns.zone import Outcome, Zone, ZoneError
from pybernetes.dns.zonefile import ZoneFileError, parse, parse_record

from .chains import Behind, address, context, directive, query, serve

HERE = Path("db.example.org")
TEXT = """
$TTL 1h
@ IN SOA ns1 hostmaster (
    7       ; serial
    2h 30m 2w 60 )
@       NS   ns1
        MX   10 mail
NS1     A    192.0.2.53
mail    5m   IN A 192.0.2.25
www     IN 60 CNAME web
web     A    192.0.2.80
web     TXT  "a b" c\\;d ; comment
*.wild  A    192.0.2.81
host.wild A  192.0.2.82
a.ent.wild A 192.0.2.83
out     CNAME elsewhere.example.com.
two     CNAME www
ring1   CNAME ring2
ring2   CNAME ring1
lost    CNAME nobody
sub     NS   ns.sub
sub     DS   1 13 2 ABCD
ns.sub  A    192.0.2.54
into    CNAME x.sub
*.alias CNAME web
old     DNAME new
x.new   A    192.0.2.84
self    DNAME self
srv     SRV  1 2 80 web
$ORIGIN deep.example.org.
a.b     A    192.0.2.85
"""


def zone(text: str = TEXT, origin: str = "example.org.") -> Zone:
    return Zone(origin, parse(text, origin, HERE)[0])


@pytest.mark.parametrize(
    ("line", "name", "type", "ttl", "data"),
    [
        ("a A 192.0.2.1", "a.example.org.", wire.A, 3600, bytes([192, 0, 2, 1])),
        ("a. 5 A 192.0.2.1", "a.", wire.A, 5, bytes([192, 0, 2, 1])),
        ("a IN 1h30m AAAA ::1", "a.example.org.", wire.AAAA, 5400, bytes(15) + b"\1"),
        ("@ 5 IN NS a", "example.org.", wire.NS, 5, name_bytes("a.example.org.")),
        ("a MX 10 @", "a.example.org.", wire.MX, 3600, b"\0\x0a" + name_bytes("example.org.")),
        ("a SRV 1 2 3 b.", "a.example.org.", wire.SRV, 3600, b"\0\1\0\2\0\3" + name_bytes("b.")),
        ('a TXT "x y" z', "a.example.org.", wire.TXT, 3600, b"\3x y\1z"),
        (r"a TXT \065\"", "a.example.org.", wire.TXT, 3600, b'\2A"'),
        ("a TXT \u00e9", "a.example.org.", wire.TXT, 3600, b"\2\xc3\xa9"),
        (r"x\.y A 192.0.2.1", r"x\.y.example.org.", wire.A, 3600, bytes([192, 0, 2, 1])),
        (r"x\046y A 192.0.2.1", r"x\.y.example.org.", wire.A, 3600, bytes([192, 0, 2, 1])),
        ('a CAA 0 issue "ca.example"', "a.example.org.", 257, 3600, b"\0\5issueca.example"),
        ("a HINFO PC Linux", "a.example.org.", wire.HINFO, 3600, b"\2PC\5Linux"),
        (
            'a NAPTR 1 2 S SIP "" b',
            "a.example.org.",
            wire.NAPTR,
            3600,
            b"\0\1\0\2\1S\3SIP\0" + name_bytes("b.example.org."),
        ),
        ("a DS 1 13 2 AB CD", "a.example.org.", wire.DS, 3600, b"\0\1\x0d\2\xab\xcd"),
        ("a TLSA 3 1 1 abcd", "a.example.org.", 52, 3600, b"\3\1\1\xab\xcd"),
        ("a SSHFP 1 2 abcd", "a.example.org.", 44, 3600, b"\1\2\xab\xcd"),
        ("a DNSKEY 256 3 13 AQI=", "a.example.org.", 48, 3600, b"\1\0\3\x0d\1\2"),
        ('a URI 1 2 "http://x"', "a.example.org.", 256, 3600, b"\0\1\0\2http://x"),
        (r"a TYPE65280 \# 3 ab cdef", "a.example.org.", 65280, 3600, b"\xab\xcd\xef"),
        (r"a A \# 4 c0000201", "a.example.org.", wire.A, 3600, bytes([192, 0, 2, 1])),
        (
            'a HTTPS 1 . port=8443 alpn="h2,h3" ipv4hint=192.0.2.1',
            *("a.example.org.", wire.HTTPS, 3600),
            b"\0\1\0\0\1\0\6\2h2\2h3\0\3\0\2\x20\xfb\0\4\0\4\xc0\0\2\1",
        ),
        ("A A 192.0.2.1", "A.example.org.", wire.A, 3600, bytes([192, 0, 2, 1])),  # an owner named as a type
    ],
)
def test_records(line: str, name: str, type: int, ttl: int, data: bytes) -> None:
    (record,) = parse(line, "example.org.", HERE)[0]
    assert record == Record(name, type, ttl, data)


def test_ttls_and_owners_go_on() -> None:
    records, files = parse("a 9 A 192.0.2.1\n  A 192.0.2.2\n$TTL 5\nb A 192.0.2.3", "x.", HERE)
    assert [(r.name, r.ttl) for r in records] == [("a.x.", 9), ("a.x.", 9), ("b.x.", 5)]
    assert files == [HERE]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a A", "db.example.org:1: 1 words are expected, there are 0"),
        ("a A 1.2.3", "does not appear to be an IPv4 or IPv6 address"),
        ("a A ::1", "is no IPv4 address"),
        ("a MX x y", "'x' is no number up to 65535"),
        ("a FOO x", "unknown type 'FOO'"),
        ("a CH A 192.0.2.1", "class CH is not there, only IN"),
        (" A 192.0.2.1", "a record without an owner"),
        ("a", "a record without a type"),
        ("a TXT " + "(" * 2, "parentheses that do not match"),
        ("a TXT ( x", "a parenthesis is not closed"),
        ('a TXT "x', "a quote is not closed"),
        ("a HINFO " + "x" * 256 + " y", "a string is longer than 255 bytes"),
        ("x" * 64 + " A 192.0.2.1", "bad name"),
        ("$GENERATE 1-2 a$ A 192.0.2.$", "$GENERATE is not there"),
        ("$TTL x", "is no $TTL directive"),
        ("$INCLUDE nowhere", "$INCLUDE nowhere: No such file or directory"),
        ("a RRSIG A", "data of type RRSIG can only be written as"),
        (r"a TYPE99 \# 2 ab", "is followed by 1 bytes"),
        (r"a A \# 3 c00002", "3 bytes are no address of type A"),
        (r"a MX \# 1 00", "bad data of type MX: a name is cut off"),
        ("a HTTPS 1 . port=1 port=2", "'port' stands there twice"),
        ("a CAA 0 a-b x", "'a-b' is no tag"),
        (r"a TXT \999", "is no byte"),
    ],
)
def test_mistakes_in_files(line: str, message: str) -> None:
    with pytest.raises(ZoneFileError) as caught:
        parse(line, "example.org.", HERE)
    assert message in str(caught.value)


def test_files_that_include_one_another_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("$INCLUDE a")
    with pytest.raises(ZoneFileError, match="more than 7 files include one another"):
        zonefile.read(path, "x.")


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zonefile, "MAX_BYTES", 100)
    (tmp_path / "a").write_text("a A 192.0.2.1\n$INCLUDE b other\nb A 192.0.2.1\n")
    (tmp_path / "b").write_text("a A 192.0.2.2\n")
    state = zonefile._State("x.", left=100)
    zonefile._read((tmp_path / "a").read_text(), state, tmp_path / "a", 0)
    assert [r.name for r in state.records] == ["a.x.", "a.other.x.", "b.x."]
    (tmp_path / "a").write_text(";" * 101)
    with pytest.raises(ZoneFileError, match="larger than 100 bytes"):
        zonefile._read((tmp_path / "a").read_text(), zonefile._State("x.", left=100), tmp_path / "a", 0)


def test_one_record() -> None:
    assert parse_record("a.example. 5 IN A 192.0.2.1") == Record("a.example.", wire.A, 5, bytes([192, 0, 2, 1]))
    for text in ("", "a. A 192.0.2.1\nb. A 192.0.2.1"):
        with pytest.raises(ZoneFileError, match="is not one record"):
            parse_record(text)


def test_one_record_reads_no_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a. A 192.0.2.1\n")
    with pytest.raises(ZoneFileError, match="unknown type"):
        parse_record(f"$INCLUDE {tmp_path}/x")


def test_data_of_types_without_a_syntax() -> None:
    with pytest.raises(rdata.RdataError, match="can only be written as"):
        encode(65280, [Word("x")], ".")


@pytest.mark.parametrize(
    ("name", "type", "outcome", "answers", "leads_to"),
    [
        ("example.org.", wire.SOA, Outcome.SUCCESS, [wire.SOA], ""),
        ("example.org.", wire.NS, Outcome.SUCCESS, [wire.NS], ""),
        ("example.org.", wire.A, Outcome.NO_DATA, [], ""),
        ("ns1.example.org.", wire.A, Outcome.SUCCESS, [53], ""),
        ("NS1.Example.org.", wire.A, Outcome.SUCCESS, [53], ""),
        ("www.example.org.", wire.A, Outcome.SUCCESS, [wire.CNAME, 80], ""),
        ("www.example.org.", wire.CNAME, Outcome.SUCCESS, [wire.CNAME], ""),
        ("two.example.org.", wire.A, Outcome.SUCCESS, [wire.CNAME, wire.CNAME, 80], ""),
        ("www.example.org.", wire.AAAA, Outcome.SUCCESS, [wire.CNAME], ""),
        ("out.example.org.", wire.A, Outcome.SUCCESS, [wire.CNAME], "elsewhere.example.com."),
        ("lost.example.org.", wire.A, Outcome.SUCCESS, [wire.CNAME], "nobody.example.org."),
        ("ring1.example.org.", wire.A, Outcome.SUCCESS, [wire.CNAME] * 2, ""),
        ("x.wild.example.org.", wire.A, Outcome.SUCCESS, [81], ""),
        ("x.y.wild.example.org.", wire.A, Outcome.SUCCESS, [81], ""),
        ("x.wild.example.org.", wire.AAAA, Outcome.NO_DATA, [], ""),
        ("host.wild.example.org.", wire.AAAA, Outcome.NO_DATA, [], ""),
        ("ent.wild.example.org.", wire.A, Outcome.SUCCESS, [], ""),  # only part of a longer name
        ("x.ent.wild.example.org.", wire.A, Outcome.NO_NAME, [], ""),  # and nearer than the wildcard
        ("wild.example.org.", wire.A, Outcome.SUCCESS, [], ""),
        ("x.alias.example.org.", wire.A, Outcome.SUCCESS, [wire.CNAME, 80], ""),
        ("nobody.example.org.", wire.A, Outcome.NO_NAME, [], ""),
        ("b.deep.example.org.", wire.A, Outcome.SUCCESS, [], ""),
        ("x.sub.example.org.", wire.A, Outcome.DELEGATION, [], ""),
        ("sub.example.org.", wire.A, Outcome.DELEGATION, [], ""),
        ("sub.example.org.", wire.DS, Outcome.SUCCESS, [wire.DS], ""),
        ("into.example.org.", wire.A, Outcome.DELEGATION, [wire.CNAME], ""),
        ("x.old.example.org.", wire.A, Outcome.SUCCESS, [wire.DNAME, wire.CNAME, 84], ""),
        ("x.old.example.org.", wire.CNAME, Outcome.SUCCESS, [wire.DNAME, wire.CNAME], ""),
        ("x.self.example.org.", wire.A, Outcome.LOOP, [], ""),
        (f"{'a.' * 90}old.{'x' * 50}.example.org.", wire.A, Outcome.NO_NAME, [], ""),
    ],
)
def test_lookups(name: str, type: int, outcome: Outcome, answers: list[int], leads_to: str) -> None:
    reply = zone().lookup(name, type)
    shown = [record.data[-1] if record.type == wire.A else record.type for record in reply.answer]
    assert (reply.outcome, shown, reply.leads_to) == (outcome, answers, leads_to)
    assert all(record.name.lower() == name.lower() for record in reply.answer[:1] if record.type != wire.DNAME)
    if not reply.answer and outcome is not Outcome.LOOP:
        assert reply.authority[0].type == (wire.NS if outcome is Outcome.DELEGATION else wire.SOA)


def test_addresses_go_along() -> None:
    for name, type in (("example.org.", wire.MX), ("srv.example.org.", wire.SRV), ("x.sub.example.org.", wire.A)):
        (record,) = zone().lookup(name, type).additional
        assert record.type == wire.A


def test_a_zone_has_an_soa() -> None:
    with pytest.raises(ZoneError, match=r"has no SOA record for origin example.org."):
        zone("a A 192.0.2.1")


class Files:
    """A `file` plugin over a folder."""

    def __init__(self, folder: Path, properties: str = "", lookup: Behind | None = None) -> None:
        self.path = folder / "db"
        self.path.write_text(TEXT)
        block = context(["example.org."])
        if lookup is not None:
            block.lookup = lookup
        self.options = file.parse(
            directive(f"file {self.path} {{\n{properties}\n}}" if properties else f"file {self.path}"), block
        )
        self.plugin = file.File(self.options, block)
        self.plugin.next = Behind(address("behind."))
        asyncio.run(self.plugin.prepare())

    def write(self, text: str, later: int) -> None:
        """As of so many seconds later: files that are written within one tick of the clock look the same."""
        self.path.write_text(text)
        os.utime(self.path, (2_000_000_000 + later, 2_000_000_000 + later))
        asyncio.run(self.plugin.reread(self.options))

    def ask(self, name: str, type: int = wire.A) -> Answer:
        return serve(self.plugin, query(name, type))


@pytest.mark.parametrize(
    ("name", "type", "rcode", "aa"),
    [
        ("web.example.org.", wire.A, wire.NOERROR, True),
        ("nobody.example.org.", wire.A, wire.NXDOMAIN, True),
        ("x.sub.example.org.", wire.A, wire.NOERROR, False),
        ("web.example.org.", wire.AXFR, wire.REFUSED, False),
        ("x.self.example.org.", wire.A, wire.SERVFAIL, False),
    ],
)
def test_codes_and_flags(tmp_path: Path, name: str, type: int, rcode: int, aa: bool) -> None:
    answer = Files(tmp_path).ask(name, type)
    assert (answer.rcode, bool(answer.flags & wire.AA)) == (rcode, aa)


def test_names_elsewhere_are_asked_of_the_whole_server(tmp_path: Path) -> None:
    lookup = Behind(lambda q: address(q.name) if "elsewhere" in q.name else Answer(wire.NXDOMAIN))
    files = Files(tmp_path, lookup=lookup)
    assert [r.type for r in files.ask("out.example.org.").answer] == [wire.CNAME, wire.A]
    lost = files.ask("lost.example.org.")
    assert (lost.rcode, len(lost.answer), lost.authority[0].type) == (wire.NXDOMAIN, 1, wire.SOA)
    assert lookup.asked == [("elsewhere.example.com.", wire.A), ("nobody.example.org.", wire.A)]


def test_what_goes_on(tmp_path: Path) -> None:
    assert Files(tmp_path).ask("a.example.com.").answer[0].name == "behind."
    assert Files(tmp_path, "fallthrough").ask("nobody.example.org.").answer[0].name == "behind."


def test_a_zone_is_taken_by_its_serial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = Files(tmp_path)
    for later, (text, last) in enumerate(
        [
            (TEXT.replace("192.0.2.80", "192.0.2.90"), 80),  # the serial is the same
            (TEXT.replace("192.0.2.80", "192.0.2.90").replace("7       ;", "8 ;"), 90),
            ("nonsense", 90),
        ]
    ):
        files.write(text, later)
        assert files.ask("web.example.org.").answer[0].data[-1] == last
    assert "Parsing zone 'example.org.': failed to parse file" in caplog.text


def test_or_by_time(tmp_path: Path) -> None:
    files = Files(tmp_path, "reload_by_mtime")
    files.write(TEXT.replace("192.0.2.80", "192.0.2.90"), 0)
    assert files.ask("web.example.org.").answer[0].data[-1] == 90


def test_a_file_may_come_later_but_not_be_wrong(tmp_path: Path) -> None:
    block = context(["example.org."])
    options = file.parse(directive(f"file {tmp_path}/db"), block)
    plugin = file.File(options, block)
    asyncio.run(plugin.prepare())
    assert serve(plugin, query("web.example.org.")).rcode == wire.SERVFAIL
    (tmp_path / "db").write_text(TEXT)
    asyncio.run(plugin.reread(options))
    assert serve(plugin, query("web.example.org.")).answer
    (tmp_path / "db").write_text("nonsense")
    with pytest.raises(CorefileError, match="plugin/file: failed to parse file"):
        asyncio.run(file.File(options, block).prepare())
    with pytest.raises(CorefileError, match="plugin/file: open"):
        never = file.parse(directive(f"file {tmp_path}/nowhere {{\n reload 0\n}}"), block)
        asyncio.run(file.File(never, block).prepare())


def test_zones_of_a_folder_come_and_go(tmp_path: Path) -> None:
    block = context()
    plugin = auto.Auto(auto.parse(directive(f"auto {{\n directory {tmp_path}\n}}"), block), block)

    def ask(name: str) -> int:
        asyncio.run(plugin.walk())
        return serve(plugin, query(name)).rcode

    assert ask("web.example.org.") == wire.REFUSED
    (tmp_path / "db.example.org").write_text(TEXT)
    (tmp_path / "db.example.com").write_text("nonsense")
    (tmp_path / "other").write_text(TEXT)
    assert (ask("web.example.org."), ask("web.example.com.")) == (wire.NOERROR, wire.REFUSED)
    (tmp_path / "db.example.org").unlink()
    assert ask("web.example.org.") == wire.REFUSED


def test_a_folder_with_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "example.org.zone").write_text(TEXT)
    block = context()
    options = auto.parse(directive(f"auto {{\n directory {tmp_path} (.*)\\.zone {{1}}\n}}"), block)
    plugin = auto.Auto(options, block)
    asyncio.run(plugin.walk())
    assert serve(plugin, query("web.example.org.")).answer


@pytest.mark.parametrize(
    "text",
    [
        "auto",
        "auto {\n directory /tmp x {1}\n}",
        "auto {\n directory /tmp ( {1}\n}",
        "auto {\n directory /tmp\n foo\n}",
        "auto {\n directory\n}",
        "file",
        "file db {\n foo\n}",
        "file db {\n reload\n}",
        "file db {\n reload x\n}",
    ],
)
def test_mistakes(text: str) -> None:
    module = auto if text.startswith("auto") else file
    with pytest.raises(CorefileError, match="Corefile:"):
        module.setup(directive(text), context())
