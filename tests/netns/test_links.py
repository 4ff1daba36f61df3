"""Links whose end the kernel has already taken away.

The kind: what is being removed may vanish at any moment by itself (a veth goes with the namespace of its pod, some time after the
last process in it), so that "gone" is the aim of a removal and never its failure.
"""

from __future__ import annotations

import pytest

from pybernetes.net.links import LinkError, Netlink

from .namespaces import Namespace


def _bridge_with_address(netlink: Netlink) -> int:
    index = netlink.ensure_bridge("br0")
    netlink.add_address(index, "10.9.0.1", 24)
    return index


def test_a_link_that_is_gone_is_deleted_without_an_error(node: Namespace) -> None:
    def twice() -> int:
        with Netlink() as netlink:
            index = _bridge_with_address(netlink)
            netlink.delete(index)
            netlink.delete(index)
            return netlink.index("br0")

    assert node.inside(twice) == 0


def test_an_address_that_is_gone_is_deleted_without_an_error(node: Namespace) -> None:
    def twice() -> dict[str, int]:
        with Netlink() as netlink:
            index = _bridge_with_address(netlink)
            netlink.delete_address(index, "10.9.0.1", 24)
            netlink.delete_address(index, "10.9.0.1", 24)
            remaining = netlink.addresses(index)
            netlink.delete(index)
            netlink.delete_address(index, "10.9.0.1", 24)
            return remaining

    assert node.inside(twice) == {}


def test_what_a_link_that_is_gone_cannot_do_is_an_error(node: Namespace) -> None:
    def up() -> None:
        with Netlink() as netlink:
            index = netlink.ensure_bridge("br0")
            netlink.delete(index)
            netlink.set_up(index)

    with pytest.raises(LinkError, match="No such device"):
        node.inside(up)
