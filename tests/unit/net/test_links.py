"""Netlink where its package is not installed."""

from __future__ import annotations

import pytest

from pybernetes.net.links import LinkError, Netlink, unless
from tests.without import hidden


def test_what_is_missing_is_said() -> None:
    with hidden("pyroute2"):
        with Netlink() as netlink, pytest.raises(LinkError, match=r"pip install 'pybernetes\[node\]'"):
            netlink.index("lo")
        with pytest.raises(LinkError, match="pyroute2"), unless(17):
            pass
