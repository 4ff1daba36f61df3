"""What the specification answers: the facts of upstream's own tests, and a few that follow from the specification."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from pybernetes.dns import wire
from pybernetes.dns.records import NO_PORT, Address, Endpoints, Options, PodMode, Port, Result, Service, resolve
from pybernetes.dns.wire import Record

HTTP = (Port("http", "tcp", 80),)
ZONE = "cluster.local."


def headless(name: str) -> Service:
    return Service("testns", name, ("None",), ())


SERVICES = [
    Service("testns", "svc1", ("10.0.0.1",), HTTP),
    Service("testns", "svcempty", ("10.0.0.1",), HTTP),
    Service("testns", "svc6", ("1234:abcd::1",), HTTP),
    Service("testns", "svc-dual-stack", ("10.0.0.3", "10::3"), HTTP),
    Service("testns", "two-ports", ("10.0.0.4",), (*HTTP, Port("metrics", "tcp", 9090))),
    headless("hdls1"),
    headless("hdlsprtls"),
    Service("testns", "external", (), HTTP, "ext.interwebs.test"),
    Service("testns", "external-to-service", (), HTTP, "svc1.testns.svc.cluster.local."),
    Service("testns", "circle", (), HTTP, "circle.testns.svc.cluster.local"),
    Service("hidden", "svc1", ("10.0.0.2",), HTTP),
    Service("kube-system", "kube-dns", ("10.96.0.10",), (Port("dns", "udp", 53),)),
]
SLICES = [
    Endpoints("testns", "svc1", (Address("172.0.0.1", "ep1a"),), HTTP),
    Endpoints("testns", "svcempty", (), HTTP),
    Endpoints(
        "testns",
        "hdls1",
        (
            Address("172.0.0.2"),
            Address("172.0.0.3", pod="pod-3"),
            Address("172.0.0.4", "dup-name"),
            Address("172.0.0.5", "dup-name"),
            Address("5678:abcd::1"),
            Address("5678:abcd::2"),
        ),
        HTTP,
    ),
    Endpoints("testns", "hdlsprtls", (Address("172.0.0.20"),), ()),
    Endpoints("kube-system", "kube-dns", (Address("172.0.0.100"),), (Port("dns", "udp", 53),)),
]


@dataclass
class Fake:
    """The objects above."""

    serial: int = 3
    generation: int = 1

    def namespace(self, name: str) -> bool:
        return name in ("testns", "podns", "hidden", "kube-system")

    def service(self, name: str, namespace: str) -> Service | None:
        return next((s for s in SERVICES if (s.name, s.namespace) == (name, namespace)), None)

    def endpoints(self, name: str, namespace: str) -> Iterable[Endpoints]:
        return [e for e in SLICES if (e.service, e.namespace) == (name, namespace)]

    def services_of_ip(self, ip: str) -> Iterable[Service]:
        return [s for s in SERVICES if ip in s.cluster_ips]

    def endpoints_of_ip(self, ip: str) -> Iterable[Endpoints]:
        return [e for e in SLICES if any(a.ip == ip for a in e.addresses)]

    def pod(self, ip: str, namespace: str) -> bool:
        return (ip, namespace) == ("10.240.0.1", "podns")

    def namespace_of_pod(self, ip: str) -> str:
        return "podns" if ip == "10.240.0.1" else ""


OPTIONS = Options((ZONE, "in-addr.arpa.", "ip6.arpa."), local_ips=("172.0.0.100",))
EXPOSED = replace(OPTIONS, namespaces=frozenset({"testns"}))


def ask(name: str, type: int, options: Options = EXPOSED) -> Result:
    zone = next(z for z in options.zones if wire.within(name.lower(), z))
    return resolve(name, type, zone, Fake(), options)


def text(record: Record) -> str:
    """As a master file writes it, without class."""
    data = record.data
    if record.type in (wire.A, wire.AAAA):
        import ipaddress

        shown = str(ipaddress.ip_address(data))
    elif record.type == wire.SRV:
        numbers = [str(int.from_bytes(data[i : i + 2], "big")) for i in (0, 2, 4)]
        shown = " ".join([*numbers, wire.read_name(data, 6)[0]])
    elif record.type == wire.TXT:
        shown = data[1:].decode()
    else:
        shown = wire.read_name(data, 0)[0]
    return f"{record.name} {record.ttl} {wire.type_name(record.type)} {shown}"


ADDRESSES = [
    ("svc1.testns.svc", "A", ["svc1.testns.svc 5 A 10.0.0.1"]),
    ("SVC1.TestNS.svc", "A", ["SVC1.TestNS.svc 5 A 10.0.0.1"]),
    ("svcempty.testns.svc", "A", ["svcempty.testns.svc 5 A 10.0.0.1"]),
    ("svc6.testns.svc", "AAAA", ["svc6.testns.svc 5 AAAA 1234:abcd::1"]),
    ("svc-dual-stack.testns.svc", "A", ["svc-dual-stack.testns.svc 5 A 10.0.0.3"]),
    ("svc-dual-stack.testns.svc", "AAAA", ["svc-dual-stack.testns.svc 5 AAAA 10::3"]),
    ("two-ports.testns.svc", "A", ["two-ports.testns.svc 5 A 10.0.0.4"]),
    ("hdls1.testns.svc", "A", [f"hdls1.testns.svc 5 A 172.0.0.{n}" for n in (2, 3, 4, 5)]),
    ("hdls1.testns.svc", "AAAA", [f"hdls1.testns.svc 5 AAAA 5678:abcd::{n}" for n in (1, 2)]),
    ("hdlsprtls.testns.svc", "A", ["hdlsprtls.testns.svc 5 A 172.0.0.20"]),
    ("172-0-0-20.hdlsprtls.testns.svc", "A", ["172-0-0-20.hdlsprtls.testns.svc 5 A 172.0.0.20"]),
    ("172-0-0-2.hdls1.testns.svc", "A", ["172-0-0-2.hdls1.testns.svc 5 A 172.0.0.2"]),
    ("dup-name.hdls1.testns.svc", "A", [f"dup-name.hdls1.testns.svc 5 A 172.0.0.{n}" for n in (4, 5)]),
    ("5678-abcd--2.hdls1.testns.svc", "AAAA", ["5678-abcd--2.hdls1.testns.svc 5 AAAA 5678:abcd::2"]),
    ("ep1a.svc1.testns.svc", "A", ["ep1a.svc1.testns.svc 5 A 172.0.0.1"]),
    ("external.testns.svc", "CNAME", ["external.testns.svc 5 CNAME ext.interwebs.test."]),
    (
        "external-to-service.testns.svc",
        "A",
        ["external-to-service.testns.svc 5 CNAME svc1.testns.svc", "svc1.testns.svc 5 A 10.0.0.1"],
    ),
    ("dns-version", "TXT", ["dns-version 28800 TXT 1.1.0"]),
]


def full(line: str) -> str:
    """Names in the table are without the zone where they have no dot at the end."""
    owner, ttl, type, data = line.split(" ", 3)
    data = data if type in ("A", "AAAA", "TXT") or data.endswith(".") else f"{data}.{ZONE}"
    return f"{owner}.{ZONE} {ttl} {type} {data}"


@pytest.mark.parametrize(("name", "type", "answer"), ADDRESSES)
def test_answers(name: str, type: str, answer: list[str]) -> None:
    result = ask(f"{name}.{ZONE}", wire.TYPE_NUMBERS[type])
    assert [text(r) for r in result.answer] == [full(line) for line in answer]


SRV = [
    ("svc1.testns.svc", ["0 100 80 svc1.testns.svc"], ["svc1.testns.svc 5 A 10.0.0.1"]),
    ("_http._tcp.svc1.testns.svc", ["0 100 80 svc1.testns.svc"], ["svc1.testns.svc 5 A 10.0.0.1"]),
    ("_http._tcp.svc6.testns.svc", ["0 100 80 svc6.testns.svc"], ["svc6.testns.svc 5 AAAA 1234:abcd::1"]),
    (
        "svc-dual-stack.testns.svc",
        ["0 50 80 svc-dual-stack.testns.svc"],
        ["svc-dual-stack.testns.svc 5 A 10.0.0.3", "svc-dual-stack.testns.svc 5 AAAA 10::3"],
    ),
    ("_metrics._tcp.two-ports.testns.svc", ["0 100 9090 two-ports.testns.svc"], ["two-ports.testns.svc 5 A 10.0.0.4"]),
    (
        "_http._tcp.hdls1.testns.svc",
        [
            f"0 16 80 {host}.hdls1.testns.svc"
            for host in ("172-0-0-2", "172-0-0-3", "dup-name", "5678-abcd--1", "5678-abcd--2")
        ],
        [
            "172-0-0-2.hdls1.testns.svc 5 A 172.0.0.2",
            "172-0-0-3.hdls1.testns.svc 5 A 172.0.0.3",
            "dup-name.hdls1.testns.svc 5 A 172.0.0.4",
            "dup-name.hdls1.testns.svc 5 A 172.0.0.5",
            "5678-abcd--1.hdls1.testns.svc 5 AAAA 5678:abcd::1",
            "5678-abcd--2.hdls1.testns.svc 5 AAAA 5678:abcd::2",
        ],
    ),
    ("external.testns.svc", [], []),
    ("hdlsprtls.testns.svc", [], []),
]


@pytest.mark.parametrize(("name", "answer", "additional"), SRV)
def test_srv(name: str, answer: list[str], additional: list[str]) -> None:
    result = ask(f"{name}.{ZONE}", wire.SRV)
    assert [text(r) for r in result.answer] == [f"{name}.{ZONE} 5 SRV {line}.{ZONE}" for line in answer]
    assert [text(r) for r in result.additional] == [full(line) for line in additional]


ABSENT = [
    ("svc0.testns.svc", "A"),
    ("svc0.testns.svc", "AAAA"),
    ("svc0.svc-nons.svc", "A"),
    ("svc1.hidden.svc", "A"),
    ("bogusendpoint.hdls1.testns.svc", "A"),
    ("bogusendpoint.svc0.testns.svc", "A"),
    ("foo", "NS"),
    ("foo.svc", "NS"),
    ("endpoint.external.testns.svc", "CNAME"),
    ("_dns._tcp.svc1.testns.svc", "SRV"),
    ("a.b.c.svc1.testns.svc", "A"),
    ("10-240-0-1.podns.pod", "A"),  # pods disabled
]
NO_DATA = [
    ("", "A"),
    ("svc1.testns.svc", "AAAA"),
    ("svc1.testns.svc", "SOA"),
    ("svc1.testns.svc", "MX"),
    ("svc1.testns.svc", "PTR"),
    ("svc", "A"),
    ("pod", "A"),
    ("testns.svc", "A"),
    ("svc", "NS"),
    ("testns.svc", "NS"),
    ("svc1.testns.svc", "TXT"),
    ("circle.testns.svc", "A"),
]


@pytest.mark.parametrize(("name", "type", "exists"), [(*c, False) for c in ABSENT] + [(*c, True) for c in NO_DATA])
def test_denials(name: str, type: str, exists: bool) -> None:
    result = ask(f"{name}.{ZONE}".lstrip("."), wire.TYPE_NUMBERS[type])
    assert (result.exists, result.answer) == (exists, [])


@pytest.mark.parametrize(
    ("mode", "name", "type", "answer"),
    [
        ("insecure", "10-240-0-1.podns.pod", "A", "10.240.0.1"),
        ("insecure", "172-0-0-2.podns.pod", "A", "172.0.0.2"),
        ("insecure", "fd00--7.podns.pod", "AAAA", "fd00::7"),
        ("insecure", "fd00--7.podns.pod", "A", ""),
        ("insecure", "blah.podns.pod", "A", None),
        ("insecure", "blah.podns.pod", "AAAA", None),
        ("insecure", "1-2-3-4.pod-nons.pod", "A", None),
        ("insecure", "podns.pod", "A", ""),
        ("verified", "10-240-0-1.podns.pod", "A", "10.240.0.1"),
        ("verified", "10-240-0-1.testns.pod", "A", None),
        ("verified", "172-0-0-2.podns.pod", "A", None),
        ("verified", "podns.pod", "A", ""),
    ],
)
def test_pods(mode: str, name: str, type: str, answer: str | None) -> None:
    """None: no such name; "": no such data."""
    result = ask(f"{name}.{ZONE}", wire.TYPE_NUMBERS[type], replace(OPTIONS, pods=PodMode(mode)))
    assert result.exists == (answer is not None)
    assert [text(r).split()[-1] for r in result.answer] == ([answer] if answer else [])


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("1.0.0.10.in-addr.arpa.", ["svc1.testns.svc"]),
        ("2.0.0.10.in-addr.arpa.", ["svc1.hidden.svc"]),
        ("3.0.0.172.in-addr.arpa.", ["172-0-0-3.hdls1.testns.svc"]),
        ("4.0.0.172.in-addr.arpa.", ["dup-name.hdls1.testns.svc"]),
        ("9.9.9.9.in-addr.arpa.", None),
        ("9.9.9.in-addr.arpa.", None),
    ],
)
def test_reverse(name: str, hosts: list[str] | None) -> None:
    result = ask(name, wire.PTR, OPTIONS)
    assert result.exists == (hosts is not None)
    assert [text(r) for r in result.answer] == [f"{name} 5 PTR {host}.{ZONE}" for host in hosts or ()]


def test_reverse_tells_nothing_of_hidden_namespaces() -> None:
    assert not ask("2.0.0.10.in-addr.arpa.", wire.PTR).exists


def test_names_that_lead_outside() -> None:
    result = ask(f"external.testns.svc.{ZONE}", wire.A)
    assert [text(r) for r in result.answer] == [f"external.testns.svc.{ZONE} 5 CNAME ext.interwebs.test."]
    assert result.leads_to == "ext.interwebs.test."


def test_pod_names_of_endpoints() -> None:
    options = replace(EXPOSED, endpoint_pod_names=True)
    assert ask(f"pod-3.hdls1.testns.svc.{ZONE}", wire.A, options).answer
    assert not ask(f"172-0-0-3.hdls1.testns.svc.{ZONE}", wire.A, options).exists


def test_services_without_endpoints_can_be_ignored() -> None:
    options = replace(EXPOSED, ignore_empty_service=True)
    assert not ask(f"svcempty.testns.svc.{ZONE}", wire.A, options).exists
    assert ask(f"svc1.testns.svc.{ZONE}", wire.A, options).answer


def test_the_zone_itself() -> None:
    result = ask(ZONE, wire.NS, OPTIONS)
    assert [text(r) for r in result.answer] == [f"{ZONE} 5 NS kube-dns.kube-system.svc.{ZONE}"]
    assert [text(r) for r in result.additional] == [f"kube-dns.kube-system.svc.{ZONE} 5 A 10.96.0.10"]
    alone = replace(OPTIONS, local_ips=("192.0.2.9",))
    assert [text(r) for r in ask(f"ns.dns.{ZONE}", wire.A, alone).answer] == [f"ns.dns.{ZONE} 5 A 192.0.2.9"]
    (soa,) = ask(ZONE, wire.SOA, OPTIONS).answer
    master, offset = wire.read_name(soa.data, 0)
    mailbox, offset = wire.read_name(soa.data, offset)
    assert (soa.ttl, master, mailbox) == (5, f"ns.dns.{ZONE}", f"hostmaster.{ZONE}")
    assert [int.from_bytes(soa.data[offset + 4 * n : offset + 4 * n + 4], "big") for n in range(5)] == [
        3,
        7200,
        1800,
        86400,
        5,
    ]


def test_ports_that_nobody_declared_have_no_srv_record() -> None:
    assert NO_PORT < 0
    assert ask(f"hdlsprtls.testns.svc.{ZONE}", wire.SRV).exists
