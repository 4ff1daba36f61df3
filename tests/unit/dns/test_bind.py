"""bind: where a block listens, read when the Corefile is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pybernetes.dns.app import App
from pybernetes.dns.chain import Instance
from pybernetes.dns.corefile import CorefileError, parse
from pybernetes.dns.metrics import Metrics
from pybernetes.net import interfaces

LINKS = {"lo": ["127.0.0.1", "::1"], "eth0": ["192.0.2.7", "2001:db8::7", "fe80::7%eth0"], "bare": []}


def instance(text: str) -> Instance:
    return Instance(parse(text), Metrics(), lambda: None, lambda why: None)


def hosts(text: str) -> list[str]:
    (server,) = instance(f". {{\n {text}\n}}").servers
    return server.context.hosts


@pytest.mark.parametrize(
    ("text", "listens"),
    [
        ("whoami", [""]),
        ("bind 169.254.20.10 10.96.0.10", ["169.254.20.10", "10.96.0.10"]),  # a cache on each node
        ("bind eth0", ["192.0.2.7", "2001:db8::7", "fe80::7%eth0"]),
        ("bind lo 192.0.2.1 127.0.0.1", ["127.0.0.1", "::1", "192.0.2.1"]),
        ("bind 192.0.2.1\n bind lo", ["192.0.2.1", "127.0.0.1", "::1"]),
        ("bind lo eth0 {\n except ::1 fe80::7%eth0\n except 192.0.2.7\n}", ["127.0.0.1", "2001:db8::7"]),
        ("bind lo eth0 {\n except eth0\n}", ["127.0.0.1", "::1"]),
        ("bind 2001:DB8:0::1", ["2001:db8::1"]),
    ],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, text: str, listens: list[str]) -> None:
    monkeypatch.setattr(interfaces, "addresses", lambda: LINKS)
    assert hosts(text) == listens


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bind", "at least one address or interface name is expected"),
        ("bind eth9", 'not a valid IP address or interface name: "eth9"'),
        ("bind 192.0.2.300", 'not a valid IP address or interface name: "192.0.2.300"'),
        ("bind lo {\n except\n}", "at least one address or interface must be given to except subdirective"),
        ("bind lo {\n except eth9\n}", 'not a valid IP address or interface name: "eth9"'),
        ("bind lo {\n without ::1\n}", 'invalid option "without"'),
        ("bind bare", "no address is left to listen on"),
        ("bind lo {\n except lo\n}", "no address is left to listen on"),
    ],
)
def test_mistakes(monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    monkeypatch.setattr(interfaces, "addresses", lambda: LINKS)
    with pytest.raises(CorefileError, match=why):
        hosts(text)


def test_blocks_of_one_zone_on_addresses_of_their_own() -> None:
    made = instance(". {\n bind 127.0.0.1\n whoami\n}\n. {\n bind 127.0.0.2\n errors\n}")
    assert sorted(made.routes) == [("127.0.0.1", 53), ("127.0.0.2", 53)]
    with pytest.raises(CorefileError, match=r"cannot serve dns://\.:53 - it is already defined"):
        instance(". {\n bind 127.0.0.1 127.0.0.2\n}\n. {\n bind 127.0.0.2\n}")


def test_it_listens_on_each(tmp_path: Path) -> None:
    async def run() -> set[str]:
        path = tmp_path / "Corefile"
        path.write_text(". {\n bind 127.0.0.1 127.0.0.2\n whoami\n}")
        app = App(path, 0)
        await app.start()
        try:
            return {host for host, _ in app.listeners}
        finally:
            await app.stop()

    assert asyncio.run(run()) == {"127.0.0.1", "127.0.0.2"}


def test_interfaces_of_this_machine() -> None:
    assert "127.0.0.1" in interfaces.addresses()["lo"]
