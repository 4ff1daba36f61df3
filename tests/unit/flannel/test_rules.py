"""iptables rules, as upstream writes them, and how they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from pybernetes.flannel import traffic
from pybernetes.flannel.rules import RuleSet, forward, masquerade, restored
from pybernetes.net import subnetfile
from pybernetes.net.programs import ProgramError
from pybernetes.net.subnetfile import SubnetFile

from .hosts import NETWORK

MASQUERADE = masquerade(NETWORK, IPv4Network("10.244.1.0/24"), random_fully=True)


def test_masquerade() -> None:
    assert restored(MASQUERADE, jump_is_there=False) == (
        "*nat\n"
        ":FLANNEL-POSTRTG - [0:0]\n"
        '-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN\n'
        '-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN\n'
        '-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN\n'
        '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN\n'
        '-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully\n'
        '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully\n'
        '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG\n'
        "COMMIT\n"
    )
    assert not any("--random-fully" in rule for rule in masquerade(NETWORK, NETWORK, random_fully=False).rules)


def test_forward() -> None:
    jump = '-m comment --comment "flanneld forward" -j FLANNEL-FWD'
    assert restored(forward(NETWORK), jump_is_there=True) == (
        "*filter\n"
        ":FLANNEL-FWD - [0:0]\n"
        '-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT\n'
        '-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT\n'
        f"-D FORWARD {jump}\n"
        f"-A FORWARD {jump}\n"
        "COMMIT\n"
    )


class FakeTables:
    """The rules that are there; `broken`: the program fails."""

    def __init__(self, rule_set: RuleSet | None = None) -> None:
        self.rules = {(rule_set.table, rule_set.parent, rule_set.jump)} if rule_set else set()
        self.rules |= {(rule_set.table, rule_set.chain, rule) for rule in rule_set.rules} if rule_set else set()
        self.restored: list[str] = []
        self.broken = False

    async def has(self, table: str, chain: str, rule: Sequence[str]) -> bool:
        if self.broken:
            raise ProgramError("iptables cannot be run")
        return (table, chain, tuple(rule)) in self.rules

    async def restore(self, text: str) -> None:
        self.restored.append(text)


def test_what_is_there_is_left_alone() -> None:
    tables = FakeTables(MASQUERADE)
    assert asyncio.run(traffic.ensure(tables, MASQUERADE)) is False
    assert tables.restored == []


@pytest.mark.parametrize("missing", [*MASQUERADE.rules, MASQUERADE.jump])
def test_one_that_is_missing_brings_all_of_them(missing: tuple[str, ...]) -> None:
    tables = FakeTables(MASQUERADE)
    tables.rules = {rule for rule in tables.rules if rule[2] != missing}
    assert asyncio.run(traffic.ensure(tables, MASQUERADE)) is True
    assert tables.restored == [restored(MASQUERADE, jump_is_there=missing != MASQUERADE.jump)]


def test_a_start_writes_them_anew() -> None:
    """Rules of an earlier network are in the chain, and would not be missed."""
    tables = FakeTables(MASQUERADE)
    asyncio.run(traffic.start(tables, [MASQUERADE]))
    assert tables.restored == [restored(MASQUERADE, jump_is_there=True)]


def test_a_program_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tables = FakeTables()
    tables.broken = True
    asyncio.run(traffic.start(tables, [MASQUERADE]))
    asyncio.run(traffic.resync(tables, [MASQUERADE]))
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    tables.broken = False
    asyncio.run(traffic.resync(tables, [MASQUERADE]))
    assert len(tables.restored) == 1


def test_the_subnet_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "flannel" / "subnet.env"
    for mtu, masq in ((1450, "true"), (8951, "false")):
        told = SubnetFile(NETWORK, IPv4Interface("10.244.1.1/24"), mtu, masq == "true")
        subnetfile.write(path, told.text())
        assert subnetfile.load(path) == told
        assert path.read_text() == (
            f"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU={mtu}\nFLANNEL_IPMASQ={masq}\n"
        )
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in path.parent.iterdir()] == ["subnet.env"]
