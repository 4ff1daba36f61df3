"""What netlink says of a host's interfaces without pyroute2 is what it says with it."""

from __future__ import annotations

from pybernetes.net import interfaces
from pybernetes.net.routes import Router

from .namespaces import Namespace


def test_both_say_the_same(node: Namespace) -> None:
    node.run(
        "ip link add one type bridge; ip link set one up mtu 1400; ip addr add 192.0.2.1/24 dev one; ip addr add 192.0.2.2/24 dev one; "
        "ip addr add 2001:db8::1/64 dev one nodad; ip addr add 2001:db8::2/64 dev one nodad preferred_lft 0; "
        "ip link add two type bridge; ip route add default via 192.0.2.77; ip route add default dev two metric 50 2>/dev/null || true"
    )

    def compared() -> None:
        with Router() as router:
            assert interfaces.links() == router.links()
            assert interfaces.default_device() == router.default_device() != 0
        (one,) = [link for link in interfaces.links() if link.name == "one"]
        assert one.addresses == ("192.0.2.1", "192.0.2.2") and "2001:db8::2" not in one.ipv6_addresses
        assert (one.mtu, len(one.mac)) == (1400, 17)

    node.inside(compared)


def test_without_a_default_route(node: Namespace) -> None:
    node.run("ip link add one type bridge; ip link set one up; ip addr add 192.0.2.1/24 dev one")
    assert node.inside(interfaces.default_device) == 0
