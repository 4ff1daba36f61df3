"""What is wrong with a host, by facts; each finding names a remedy."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pybernetes.cli.main import main
from pybernetes.deploy import doctor
from pybernetes.deploy.diagnosis import ETCD, MASTER, NODE, Certificate, Disk, Facts, Listener, diagnose

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GIB = 1 << 30
PARTS = {2379: "etcd", 2380: "etcd", 6443: "kube-apiserver", 10257: "kube-controller-manager", 10259: "kube-scheduler",
         10250: "kubelet", 10248: "kubelet", 10256: "kube-proxy"}  # fmt: skip
WELL = Facts(
    roles=frozenset((MASTER, ETCD, NODE)),
    listeners=[Listener(port, 1, f"pybernetes {part}") for port, part in PARTS.items()],
    programs=frozenset(("etcd", "dockerd", "iptables-restore", "conntrack")),
    disks=[Disk("/", 100 * GIB, 50 * GIB, 1000, 500)],
    open_files={"etcd": 1 << 20},
    inotify_instances=8192,
    ip_forward=True,
    bridge_calls=True,
    certificates=[Certificate("apiserver", NOW - DAY, NOW + 300 * DAY)],
    api_server="https://a:6443",
    api_offset=timedelta(0),
    node_name="n",
    lease_renewed=NOW - timedelta(seconds=5),
    node_known=True,
)


def test_all_is_well() -> None:
    assert diagnose(WELL, NOW) == []
    assert diagnose(Facts(frozenset()), NOW) == []


@pytest.mark.parametrize(
    ("change", "level", "what", "remedy"),
    [
        ({"programs": WELL.programs - {"conntrack"}}, "error", "conntrack is not installed", "apt-get install conntrack"),
        ({"listeners": WELL.listeners[1:]}, "error", "nobody listens on 2379", "etcd does not run"),
        ({"listeners": [Listener(2379, 7, "nginx: master"), *WELL.listeners[1:]]}, "error", "2379 is taken by nginx: master (pid 7)", "end that"),
        ({"listeners": [Listener(port, 1, f"pybernetes supervise [{part[:15]}]") for port, part in PARTS.items()]}, "", "", ""),
        ({"listeners": [Listener(2379, 0, ""), *WELL.listeners[1:]]}, "", "", ""),  # whose it is may not be seen
        ({"ip_forward": False}, "error", "forwards no packets", "sysctl -w net.ipv4.ip_forward=1"),
        ({"bridge_calls": None}, "warning", "br_netfilter is not loaded", "modprobe br_netfilter"),
        ({"bridge_calls": False}, "warning", "bridge-nf-call-iptables is 0", "sysctl -w"),
        ({"iptables_problem": "Table does not exist"}, "error", "iptables does not work: Table", "modprobe"),
        ({"disks": [Disk("/d", 100 * GIB, GIB // 8, 0, 0)]}, "error", "/d: 128 MiB are free (0 %)", "make room"),
        ({"disks": [Disk("/d", 100 * GIB, 9 * GIB, 0, 0)]}, "warning", "(9 %)", "make room"),
        ({"disks": [Disk("/d", 100 * GIB, 50 * GIB, 1000, 10)]}, "warning", "10 of 1000 inodes", "small files"),
        ({"open_files": {"etcd": 1024}}, "warning", "etcd may open 1024 files", "LimitNOFILE"),
        ({"inotify_instances": 64}, "warning", "max_user_instances is 64", "sysctl"),
        ({"certificates": [Certificate("apiserver", NOW - 2 * DAY, NOW - DAY)]}, "error", "apiserver ended on 2026-11-29", "certs renew apiserver"),
        ({"certificates": [Certificate("ca", NOW - 2 * DAY, NOW + DAY)]}, "warning", "ca ends in 1 days", "rotate-ca"),
        ({"certificates": [Certificate("kubelet", NOW - 2 * DAY, NOW)]}, "error", "kubelet ended", "join anew"),
        ({"certificates": [Certificate("x", NOW + DAY, NOW + 9 * DAY)]}, "error", "begins only on 2026-12-01", "clock is behind"),
        ({"certificates": [Certificate("x", problem="x cannot be read: y")]}, "error", "x cannot be read: y", "restore"),
        ({"api_offset": timedelta(hours=1)}, "error", "3600 s behind", "timedatectl"),
        ({"api_offset": timedelta(seconds=-3)}, "warning", "3 s before", "timedatectl"),
        ({"api_offset": timedelta(seconds=0.5)}, "", "", ""),
        ({"api_problem": "refused", "node_known": None}, "error", "https://a:6443 does not answer: refused", "firewall"),
        ({"node_known": False}, "error", "knows no node 'n'", "kubectl get csr"),
        ({"lease_renewed": NOW - timedelta(minutes=5)}, "error", "has not heard of this host's kubelet since 11:55:00", "kubelet runs"),
        ({"lease_renewed": None}, "error", "kubelet ever", "kubelet runs"),
    ],
)  # fmt: skip
def test_findings(change: dict[str, Any], level: str, what: str, remedy: str) -> None:
    found = diagnose(replace(WELL, **change), NOW)
    assert len(found) == bool(level), found
    for one in found:
        assert one.level == level and what in one.what and remedy in one.remedy


def test_errors_come_first_and_roles_say_what_is_looked_at() -> None:
    facts = replace(WELL, open_files={"etcd": 1}, ip_forward=False, node_known=False)
    assert [one.level for one in diagnose(facts, NOW)] == ["error", "error", "warning"]
    assert [one.about for one in diagnose(replace(facts, roles=frozenset((ETCD,))), NOW)] == ["limit"]


def test_who_listens_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        [mine] = [one for one in doctor.listening() if one.port == server.getsockname()[1]]
    assert "python" in mine.command or "pytest" in mine.command


@pytest.mark.parametrize(("hours", "low", "high"), [(0, 0, 0), (1, 3590, 3600), (-1, -3600, -3590)])
def test_the_clock_is_compared_with_the_answers_date(
    hours: int, low: float, high: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from email.utils import formatdate

    from pybernetes.client.kubeconfig import Config

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = formatdate((datetime.now(UTC) + timedelta(hours=hours)).timestamp(), usegmt=True)
        writer.write(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 2\r\n\r\nok".encode())
        await writer.drain()
        writer.close()

    async def run() -> timedelta | None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            return await doctor.clock_offset(Config(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))

    offset = asyncio.run(run())
    assert offset is not None and low <= offset.total_seconds() <= high


def test_a_host_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"--kubeconfig-dir={tmp_path}"
    assert main(["doctor", where, f"--root-dir={tmp_path}/kubelet"]) == 0
    assert "no part of a cluster" in capsys.readouterr().out
    words = ("--apiserver-advertise-address=127.0.0.1", f"--cert-dir={tmp_path}/pki")
    assert main(["init", "phase", "certs", "all", *words]) == 0
    assert main(["init", "phase", "kubeconfig", "admin", *words, where, "--apiserver-bind-port=1"]) == 0
    (tmp_path / "pki/apiserver.crt").write_text("none")
    capsys.readouterr()
    assert main(["doctor", where, f"--root-dir={tmp_path}/kubelet"]) == 1
    said = capsys.readouterr().out
    assert "this host: etcd, master" in said
    assert "pki/apiserver.crt cannot be read" in said and "https://127.0.0.1:1 does not answer" in said
