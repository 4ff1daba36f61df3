"""What the kernel holds after leases came, changed and went; restarts; what somebody else took away."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pybernetes.flannel.backends import Backend, BackendError, backend
from pybernetes.flannel.config import BackendConfig
from pybernetes.flannel.interface import External
from pybernetes.flannel.lease import Lease
from pybernetes.flannel.network import Network
from pybernetes.flannel.plan import by_vxlan
from pybernetes.net.routes import Forwarding, Route

from .hosts import DEVICE, NETWORK, OVERLAY, Kernel, lease, mac


def interface(public_ip: str = "10.79.0.1") -> External:
    return External(DEVICE, "eth0", 1500, IPv4Address("10.79.0.1"), IPv4Address(public_ip))


def started(
    kernel: Kernel, *others: Lease, type: str = "vxlan", direct_routing: bool = False, prefix: str = mac(1)
) -> tuple[Network, Backend]:
    """Host 1's, after the others' leases."""
    chosen = backend(BackendConfig(type, direct_routing=direct_routing), interface())
    chosen.prepare(kernel, prefix)
    network = Network(kernel, chosen, lease(1, type), NETWORK)
    network.start({each.node: each for each in (lease(1, type), *others)})
    return network, chosen


def entries(kernel: Kernel) -> set[object]:
    return {*kernel.table.values(), *kernel.arp.values(), *kernel.fdb.values()}


def test_three_hosts_by_vxlan() -> None:
    kernel = Kernel()
    _, chosen = started(kernel, lease(2), lease(3))
    assert entries(kernel) == {*by_vxlan(lease(2), OVERLAY), *by_vxlan(lease(3), OVERLAY)}
    assert kernel.address[OVERLAY] == {"10.244.1.0": 32}
    device, options = kernel.devices["flannel.1"]
    assert options is not None
    assert (device.mac, device.mtu, chosen.mtu) == (mac(1), 1450, 1450)
    assert (options.vni, options.link, options.local, options.port, options.learning) == (
        1,
        DEVICE,
        "10.79.0.1",
        8472,
        False,
    )


def test_three_hosts_by_host_gw() -> None:
    kernel = Kernel()
    _, chosen = started(kernel, lease(2, "host-gw"), lease(3, "host-gw"), type="host-gw")
    assert entries(kernel) == {Route(f"10.244.{n}.0/24", f"10.79.0.{n}", DEVICE) for n in (2, 3)}
    assert chosen.mtu == 1500 and kernel.devices == {}


def test_direct_routing_where_there_is_no_router_between() -> None:
    kernel = Kernel()
    kernel.far = {"10.79.0.3"}
    network, _ = started(kernel, lease(2), lease(3), direct_routing=True)
    assert entries(kernel) == {Route("10.244.2.0/24", "10.79.0.2", DEVICE), *by_vxlan(lease(3), OVERLAY)}
    kernel.far = set()
    network.apply({"host3": lease(3)})
    assert entries(kernel) == {Route(f"10.244.{n}.0/24", f"10.79.0.{n}", DEVICE) for n in (2, 3)}
    network.repair()
    network.apply({"host2": None, "host3": None})
    assert entries(kernel) == set()


@pytest.mark.parametrize("others", [2, 50])
def test_a_change_costs_what_it_changes(others: int) -> None:
    kernel = Kernel()
    network, _ = started(kernel, *(lease(n) for n in range(2, 2 + others)))
    kernel.calls.clear()
    network.apply({"host2": lease(2)})
    assert kernel.calls == []
    network.apply({"host2": lease(2, public_ip="10.79.0.99")})
    assert kernel.calls == [f"+{mac(2)}"]
    kernel.calls.clear()
    network.apply({"host2": None})
    assert kernel.calls == ["-10.244.2.0/24", f"-{mac(2)}", "-10.244.2.0"]


def test_a_restart_takes_nothing_away() -> None:
    kernel = Kernel()
    started(kernel, lease(2), lease(3))
    before = entries(kernel)
    kernel.calls.clear()
    # What the node says of the device, or nobody (its annotations were lost): the device that is there is used.
    for stored in (mac(1), "", mac(8)):
        _, chosen = started(kernel, lease(2), lease(3), prefix=stored)
        assert chosen.prepare(kernel, "") == f'{{"VNI":1,"VtepMAC":"{mac(1)}"}}'
    assert entries(kernel) == before
    assert not [call for call in kernel.calls if call.startswith(("-", "add", "delete"))]


def test_a_restart_forgets_who_went_meanwhile() -> None:
    kernel = Kernel()
    started(kernel, lease(2), lease(3))
    others = Route("10.9.0.0/16", "10.79.0.3", DEVICE)
    kernel.table[others.destination] = others
    started(kernel, lease(2))
    assert entries(kernel) == {*by_vxlan(lease(2), OVERLAY), others}


@pytest.mark.parametrize(
    "ignored",
    [
        lease(1, node="host9"),  # the own subnet, under an older name
        lease(2, "host-gw"),
        lease(2, "VXLAN"),
        lease(2, hardware="no address"),
    ],
)
def test_leases_that_are_not_for_us(ignored: Lease) -> None:
    kernel = Kernel()
    started(kernel, ignored)
    assert entries(kernel) == set()


def test_a_node_under_another_name_keeps_its_subnet_when_the_old_one_goes() -> None:
    kernel = Kernel()
    network, _ = started(kernel, lease(2, node="old"))
    network.apply({"new": lease(2, node="new", public_ip="10.79.0.7", hardware=mac(7))})
    network.apply({"old": None})
    assert entries(kernel) == {
        *by_vxlan(lease(2, public_ip="10.79.0.7", hardware=mac(7)), OVERLAY),
    }


def test_the_device_is_made_again_with_all_that_leads_through_it() -> None:
    kernel = Kernel()
    network, _ = started(kernel, lease(2), lease(3))
    kernel.delete(OVERLAY)
    network.repair()
    assert kernel.devices["flannel.1"][0].mac == mac(1)
    assert entries(kernel) == {*by_vxlan(lease(2), OVERLAY + 1), *by_vxlan(lease(3), OVERLAY + 1)}
    assert kernel.address[OVERLAY + 1] == {"10.244.1.0": 32}


@pytest.mark.parametrize("type", ["vxlan", "host-gw"])
def test_a_route_that_somebody_took_comes_again(type: str) -> None:
    kernel = Kernel()
    network, _ = started(kernel, lease(2, type), lease(3, type), type=type)
    before = entries(kernel)
    kernel.calls.clear()
    network.repair()
    assert kernel.calls == []
    del kernel.table["10.244.3.0/24"]
    network.repair()
    assert entries(kernel) == before
    assert "+10.244.2.0/24" not in kernel.calls


@pytest.mark.parametrize("what", ["arp", "fdb"])
def test_the_address_of_a_host_that_somebody_took_comes_again(what: str) -> None:
    """The route alone leads nowhere."""
    kernel = Kernel()
    network, _ = started(kernel, lease(2), lease(3))
    before = entries(kernel)
    table = kernel.arp if what == "arp" else kernel.fdb
    del table[next(iter(table))]
    assert entries(kernel) != before
    network.repair()
    assert entries(kernel) == before
    kernel.calls.clear()
    network.repair()
    assert kernel.calls == []


def test_what_the_kernel_refuses_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Kernel()
    kernel.unreachable = {"10.79.0.2"}
    network, _ = started(kernel, lease(2, "host-gw"), lease(3, "host-gw"), type="host-gw")
    assert list(kernel.table) == ["10.244.3.0/24"] and "Network is unreachable" in caplog.text
    kernel.unreachable = set()
    network.repair()
    assert sorted(kernel.table) == ["10.244.2.0/24", "10.244.3.0/24"]


def test_an_address_of_an_earlier_subnet_goes_others_stay() -> None:
    kernel = Kernel()
    started(kernel)
    kernel.address[OVERLAY] |= {"10.244.77.0": 32, "192.0.2.1": 24, "fe80::1": 64}
    started(kernel)
    assert kernel.address[OVERLAY] == {"10.244.1.0": 32, "192.0.2.1": 24, "fe80::1": 64}


@pytest.mark.parametrize(
    "config",
    [BackendConfig("vxlan", port=4789), BackendConfig("vxlan", gbp=True)],
)
def test_a_device_that_cannot_be_used_is_replaced(config: BackendConfig, caplog: pytest.LogCaptureFixture) -> None:
    kernel = Kernel()
    started(kernel)
    backend(config, interface()).prepare(kernel, mac(1))
    assert kernel.index("flannel.1") == OVERLAY + 1
    assert "already exists with incompatible configuration" in caplog.text


@pytest.mark.parametrize("type", ["ipip", "wireguard", "alloc"])
def test_backends_that_are_not_there(type: str) -> None:
    with pytest.raises(BackendError, match=f"backend type {type} is not there: choose vxlan, host-gw or udp"):
        backend(BackendConfig(type), interface())


def test_backends_that_nobody_knows() -> None:
    with pytest.raises(BackendError, match="unknown backend type: vlan"):
        backend(BackendConfig("vlan"), interface())
    with pytest.raises(BackendError, match="your PublicIP differs from interface IP"):
        backend(BackendConfig("host-gw"), interface("203.0.113.1"))


def test_forwardings_of_hosts_that_share_nothing_are_apart() -> None:
    kernel = Kernel()
    started(kernel, lease(2), lease(3))
    assert set(kernel.fdb.values()) == {Forwarding(mac(n), f"10.79.0.{n}", OVERLAY) for n in (2, 3)}
