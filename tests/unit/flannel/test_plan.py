"""Three hosts: what each is to hold for the two others, and what changes when one of them changes."""

from __future__ import annotations

import pytest

from pybernetes.flannel.lease import LeaseError
from pybernetes.flannel.plan import Entry, by_gateway, by_vxlan, difference
from pybernetes.net.routes import Forwarding, Neighbour, Route

from .hosts import OVERLAY, lease, mac


@pytest.mark.parametrize("number", [1, 2, 3])
def test_vxlan(number: int) -> None:
    """The order counts: with the route packets come, for which the kernel would ask in vain."""
    assert by_vxlan(lease(number), OVERLAY) == (
        Neighbour(f"10.244.{number}.0", mac(number), OVERLAY),
        Forwarding(mac(number), f"10.79.0.{number}", OVERLAY),
        Route(f"10.244.{number}.0/24", f"10.244.{number}.0", OVERLAY, onlink=True),
    )


@pytest.mark.parametrize("device", [0, 2])
def test_by_gateway(device: int) -> None:
    assert by_gateway(lease(3, "host-gw"), device) == (Route("10.244.3.0/24", "10.79.0.3", device),)


def test_vxlan_without_a_hardware_address() -> None:
    with pytest.raises(LeaseError):
        by_vxlan(lease(2, "host-gw"), OVERLAY)


ARP, FDB, ROUTE = by_vxlan(lease(2), OVERLAY)
MOVED = by_vxlan(lease(2, public_ip="10.79.0.9"), OVERLAY)  # the same device behind another address
REPLACED = by_vxlan(lease(2, hardware=mac(9)), OVERLAY)  # another device


@pytest.mark.parametrize(
    ("before", "after", "goes", "comes"),
    [
        ((), (ARP, FDB, ROUTE), [], [ARP, FDB, ROUTE]),
        ((ARP, FDB, ROUTE), (), [ROUTE, FDB, ARP], []),
        ((ARP, FDB, ROUTE), (ARP, FDB, ROUTE), [], []),
        ((ARP, FDB, ROUTE), MOVED, [], [MOVED[1]]),
        ((ARP, FDB, ROUTE), REPLACED, [FDB], [REPLACED[0], REPLACED[1]]),
        # From the tunnel to a direct route: the route is replaced, never missing.
        ((ARP, FDB, ROUTE), by_gateway(lease(2), 0), [FDB, ARP], [*by_gateway(lease(2), 0)]),
    ],
)
def test_difference(before: tuple[Entry, ...], after: tuple[Entry, ...], goes: list[Entry], comes: list[Entry]) -> None:
    assert difference(before, after) == (goes, comes)
