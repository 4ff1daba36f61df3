"""Addresses and rules of the pods' network."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybernetes.kubelet.network import rules
from pybernetes.kubelet.network.addresses import AddressBook, Lease, gateway, next_free
from pybernetes.kubelet.network.bridge import host_interface
from pybernetes.kubelet.node.usage import interfaces
from pybernetes.kubelet.runtime.types import PortMapping, RuntimeFailure

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
