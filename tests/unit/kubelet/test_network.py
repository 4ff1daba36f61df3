"""Addresses and rules of the pods' network."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.api.types.core_v1 import Pod
from pybernetes.kubelet.network import rules
from pybernetes.kubelet.network.addresses import AddressBook, Lease, gateway, next_free
from pybernetes.kubelet.network.bridge import BridgeNetwork, host_interface
from pybernetes.kubelet.node.usage import interfaces
from pybernetes.kubelet.runtime.types import PortMapping, RuntimeFailure, Sandbox

CIDR = "10.0.0.0/29"


@pytest.mark.parametrize(
    ("used", "last", "expected"),
    [
        ((), "", "10.0.0.2"),
        (("10.0.0.2",), "10.0.0.2", "10.0.0.3"),
        ((), "10.0.0.6", "10.0.0.2"),
        (("10.0.0.2", "10.0.0.3"), "10.0.0.6", "10.0.0.4"),
    ],
)
def test_addresses_go_round(used: tuple[str, ...], last: str, expected: str) -> None:
    assert next_free(CIDR, used, last) == expected


def test_a_full_range_is_an_error() -> None:
    with pytest.raises(RuntimeFailure, match=r"no IP addresses available in range set: 10\.0\.0\.2-10\.0\.0\.6"):
        next_free(CIDR, {f"10.0.0.{n}" for n in range(2, 7)}, "")


def test_leases_outlive_the_process(tmp_path: Path) -> None:
    ports = (PortMapping(80, 8080),)
    first = AddressBook(tmp_path).lease(CIDR, "s1", "u", ports)
    book = AddressBook(tmp_path)
    assert book.lease(CIDR, "s1", "u", ports) == first
    assert book.lease(CIDR, "s2", "v", ()).address == "10.0.0.3"
    book.release("s1")
    # The next is a fresh one: what talked to the old address meets nobody else at once.
    assert AddressBook(tmp_path).lease(CIDR, "s3", "w", ()).address == "10.0.0.4"


def test_rules() -> None:
    lease = Lease("10.0.0.2", "s", "u", (PortMapping(80, 8080), PortMapping(53, 53, "UDP", "192.0.2.1")))
    text = rules.restore_input(CIDR, "10.0.0.0/16", [lease])
    assert text.startswith("*nat\n:PYBERNETES-POSTROUTING") and text.endswith("COMMIT\n")
    assert "-s 10.0.0.0/29 -d 10.0.0.0/16 -j RETURN" in text
    assert "--dport 8080" in text and "-j DNAT --to-destination 10.0.0.2:80" in text
    assert "-d 192.0.2.1/32 -p udp -m udp --dport 53" in text
    order = [text.index(part) for part in ("-s 127.0.0.0/8", "-j RETURN", "-j MASQUERADE --random-fully")]
    assert order == sorted(order)  # a host port's way back comes before what stays in the cluster


def test_names_fit_the_kernel() -> None:
    assert gateway(CIDR) == "10.0.0.1"
    assert len(host_interface("a" * 64)) <= 15
    assert host_interface("a") != host_interface("b")


def test_interfaces_of_proc() -> None:
    head = "Inter-| Receive\n face |bytes\n"
    line = "  eth0: 10 1 2 0 0 0 0 0 30 4 5 0 0 0 0 0\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    (found,) = interfaces(head + line)
    assert (found.name, found.rx_bytes, found.rx_errors, found.tx_bytes, found.tx_errors) == ("eth0", 10, 2, 30, 5)


SUBNET_ENV = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.{}.1/24\nFLANNEL_MTU={}\nFLANNEL_IPMASQ={}\n"


class _Recorded:
    """In place of a bridge and of iptables: what they were asked for."""

    def __init__(self) -> None:
        self.bridges: list[tuple[str, int, int]] = []
        self.restored: list[str] = []

    def ensure_bridge(self, address: str, prefix: int, mtu: int) -> None:
        self.bridges.append((address, prefix, mtu))

    def connect(self, pid: int, name: str, address: str, prefix: int, gateway: str, mtu: int) -> None:
        assert (gateway, prefix, mtu) == self.bridges[-1]

    async def restore(self, text: str) -> None:
        self.restored.append(text)

    async def ensure_first(self, table: str, chain: str, rule: list[str]) -> None:
        pass

    def close(self) -> None:
        pass


def test_the_range_and_mtu_of_a_subnet_file(tmp_path: Path) -> None:
    """Pods wait for the file; a change of it is for the pods to come."""
    file, kernel = tmp_path / "subnet.env", _Recorded()

    async def pid(sandbox: str) -> int:
        return 1

    async def work() -> None:
        network = BridgeNetwork(str(tmp_path), pid, subnet_file=file)
        network._links = network._iptables = kernel  # type: ignore[assignment]
        network.set_range("10.0.0.0/24")  # the node's podCIDR is not asked
        assert "does flanneld run?" in network.problem
        with pytest.raises(RuntimeFailure, match="does flanneld run"):
            await network.setup(_sandbox("s1"), Pod())
        file.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.2")
        assert "network plugin is not ready" in network.problem
        file.write_text(SUBNET_ENV.format(3, 1450, "true"))
        assert network.problem == ""
        assert await network.setup(_sandbox("s1"), Pod()) == ("10.244.3.2",)
        assert kernel.bridges == [("10.244.3.1", 24, 1450)] and "MASQUERADE" not in kernel.restored[-1]

        file.write_text(SUBNET_ENV.format(44, 8950, "false"))
        assert await network.setup(_sandbox("s2"), Pod()) == ("10.244.44.2",)
        assert kernel.bridges[1:] == [("10.244.44.1", 24, 8950)]
        assert "-s 10.244.44.0/24 -d 10.244.0.0/16 -j RETURN" in kernel.restored[-1]
        assert "-s 10.244.44.0/24 -j MASQUERADE" in kernel.restored[-1]
        file.unlink()
        assert network.problem == "" and await network.setup(_sandbox("s1"), Pod()) == ("10.244.3.2",)
        network.close()

    asyncio.run(work())


def _sandbox(id: str) -> Sandbox:
    return Sandbox(id, id, "default", id, 0, True, datetime(2026, 1, 1, tzinfo=UTC), 1)
