"""The small plugins, each with something behind it."""

from pathlib import Path

import pytest

from pybernetes.dns import wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugin import Plugin, ServeError
from pybernetes.dns.plugins import bind, errors, health, hosts, loadbalance, log, prometheus, ready, reload
from pybernetes.dns.wire import Answer, Query, Record

from .chains import Behind, address, context, directive, query, serve


def test_errors_become_servfail(caplog: pytest.LogCaptureFixture) -> None:
    def fails(asked: Query) -> Answer:
        raise ServeError("no next plugin found")

    plugin = errors.Errors()
    plugin.next = Behind(fails)
    assert serve(plugin, query("a.example.")).rcode == wire.SERVFAIL
    assert caplog.messages == ["plugin/errors: 2 a.example. A: no next plugin found"]


def test_loadbalance_moves_addresses_only() -> None:
    alias = wire.name_record("a.example.", wire.CNAME, "b.example.", 5)
    ips = [wire.address_record("b.example.", f"192.0.2.{n}", 5) for n in (1, 2, 3)]
    behind = Behind(Answer(0, [alias, *ips]))
    plugin = loadbalance.LoadBalance(list[Record].reverse)
    plugin.next = behind
    assert serve(plugin, query("a.example.")).answer == [alias, *reversed(ips)]
    assert serve(plugin, query("a.example.")).answer == [alias, *reversed(ips)], "what the cache holds is left alone"


def made_hosts(text: str) -> hosts.Hosts:
    plugin = hosts.Hosts(hosts.parse(directive(text), context()))
    plugin.next = Behind(address("behind."))
    plugin.read()
    return plugin


def test_hosts(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("192.0.2.1 a.example A2.example # comment\nfd00::1 a.example\nnonsense x\n")
    plugin = made_hosts(f"hosts {file} {{\n 192.0.2.9 inline.example\n ttl 60\n fallthrough example\n}}")

    def ips(name: str, type: int = wire.A) -> list[str]:
        return [f"{r.ttl} {len(r.data)} {r.data[-1]}" for r in serve(plugin, query(name, type)).answer]

    assert ips("A.example.") == ["60 4 1"]
    assert ips("a2.example.") == ["60 4 1"]
    assert ips("a.example.", wire.AAAA) == ["60 16 1"]
    assert ips("a2.example.", wire.AAAA) == []
    assert ips("inline.example.") == ["60 4 9"]
    assert serve(plugin, query("other.example.")).answer[0].name == "behind."
    # Without a SOA nobody knows for how long it is not there.
    assert serve(plugin, query("other.org.")) == wire.Answer(wire.SERVFAIL, remembered=False)
    assert serve(plugin, query("a.example.", wire.TXT)).answer == []
    other = made_hosts(f"hosts {file} {{\n fallthrough example\n fallthrough_unsupported\n}}")
    assert serve(other, query("a.example.", wire.TXT)).answer[0].name == "behind."
    pointers = serve(plugin, query("1.2.0.192.in-addr.arpa.", wire.PTR)).answer
    assert [wire.read_name(r.data, 0)[0] for r in pointers] == ["a.example.", "a2.example."]
    file.write_text("192.0.2.77 a.example\n")
    plugin.read()
    assert ips("a.example.") == ["60 4 77"]
    file.unlink()
    plugin.read()
    assert ips("inline.example.") == ["60 4 9"]


def test_log_lines() -> None:
    asked = query("a.example.")
    line = log.line(log.COMMON, asked, address("a.example."), 0.0001)
    assert line == '10.244.0.9:40000 - 1 "A IN a.example. udp 40 false 512" NOERROR qr,rd,ra 43 0.000100000s'


def test_log_classes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    plugin = log.setup(directive("log example {\n class denial error\n}"), context())
    for name, rcode in (("a.example.", wire.NXDOMAIN), ("b.example.", wire.SERVFAIL), ("c.other.", wire.NXDOMAIN)):
        plugin.next = Behind(Answer(rcode))
        serve(plugin, query(name))
    plugin.next = Behind(address("d.example."))
    serve(plugin, query("d.example."))
    assert [m.split('"')[1].split()[2] for m in caplog.messages] == ["a.example.", "b.example."]


def test_prometheus_counts_by_zone() -> None:
    block = context(["example.", "."])
    plugin = prometheus.Prometheus(block, "localhost", 0)
    plugin.next = Behind(Answer(wire.NXDOMAIN, plugin="kubernetes"))
    asked = query("a.example.")
    serve(plugin, asked)
    assert asked.answered is not None
    asked.answered(99)
    text = block.metrics.registry.text()
    where = 'server="dns://:53",zone="example.",view=""'
    assert f'coredns_dns_requests_total{{{where},proto="udp",family="1",type="A"}} 1' in text
    assert f'coredns_dns_responses_total{{{where},rcode="NXDOMAIN",plugin="kubernetes"}} 1' in text
    assert f'coredns_dns_response_size_bytes_sum{{{where},proto="udp"}} 99' in text


def test_ready_names_who_is_not() -> None:
    class Late(Plugin):
        name = "late"
        is_ready = False

        def ready(self) -> bool:
            return self.is_ready

    block, late = context(), Late()
    block.plugins = [late, Plugin()]
    plugin = ready.Ready(block, "", 0)
    assert plugin.missing() == ["late"]
    late.is_ready = True
    assert plugin.missing() == []
    late.is_ready = False
    assert plugin.missing() == [], "who was ready is not asked again"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (errors, "errors x"),
        (errors, "errors {\n consolidate 5m\n}"),
        (errors, "errors {\n consolidate 5m x loud\n}"),
        (errors, "errors {\n consolidate 5m (\n}"),
        (loadbalance, "loadbalance best"),
        (log, "log {\n class foo\n}"),
        (health, "health nowhere"),
        (health, "health {\n lameduck x\n}"),
        (ready, "ready :1 :2"),
        (reload, "reload 1s"),
        (reload, "reload x"),
        (bind, "bind no-such-link"),
        (hosts, "hosts {\n ttl x\n}"),
        (hosts, "hosts {\n reload -1s\n}"),
        (hosts, "hosts {\n reload x\n}"),
        (hosts, "hosts {\n fallthrough\n 192.0.2.1 late.example\n}"),
        (hosts, "hosts {\n fallthrough_unsupported\n}"),
        (hosts, "hosts {\n fallthrough\n fallthrough_unsupported x\n}"),
    ],
)
def test_mistakes(module: object, text: str) -> None:
    with pytest.raises(CorefileError, match="Corefile:"):
        module.setup(directive(text), context())  # type: ignore[attr-defined]  # every plugin has it


def test_what_switches_off() -> None:
    assert reload.setup(directive("reload off"), context()) is None
    block = context()
    assert bind.setup(directive("bind 127.0.0.1"), block) is None
    assert block.server == "dns://127.0.0.1:53"
