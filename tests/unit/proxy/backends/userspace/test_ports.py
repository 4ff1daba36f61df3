"""Local ports: by chance out of a range, none twice, and never one of another program."""

from __future__ import annotations

import errno
import socket

import pytest

from pybernetes.proxy.backends import PortRange
from pybernetes.proxy.backends.userspace.ports import TRIES, Budget, NoPort, Ports, claim


def in_use(port: int) -> int:
    raise OSError(errno.EADDRINUSE, f"{port}")


def test_without_a_range_the_kernel_chooses() -> None:
    ports = Ports(None, lambda size: 0)
    assert [ports.opened(lambda port: port) for _ in range(3)] == [0, 0, 0]


def test_a_range_is_gone_through_from_somewhere() -> None:
    ports = Ports(PortRange(30000, 3), lambda size: size - 1)
    assert [ports.opened(lambda port: port) for _ in range(3)] == [30002, 30000, 30001]
    with pytest.raises(NoPort, match="there are no remaining ports left to allocate in 30000-30002"):
        ports.opened(lambda port: port)
    ports.release(30000)
    assert ports.opened(lambda port: port) == 30000


def test_ports_of_other_programs_are_passed_over_and_may_be_free_later() -> None:
    ports = Ports(PortRange(30000, 4), lambda size: 0)
    assert ports.opened(lambda port: port if port == 30002 else in_use(port)) == 30002
    assert ports.opened(lambda port: port) == 30000
    tried: list[int] = []
    wide = Ports(PortRange(30000, 1000), lambda size: 0)
    with pytest.raises(NoPort, match="in use by other programs"):
        wide.opened(lambda port: in_use(tried.append(port) or port))  # type: ignore[func-returns-value]
    assert len(tried) == TRIES

    def refused(port: int) -> int:
        raise OSError(errno.EACCES, "no")

    with pytest.raises(OSError, match="no"):
        wide.opened(refused)
    assert wide.opened(lambda port: port) == 30000


def test_the_budget() -> None:
    budget = Budget(2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.give()
    assert budget.take()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_claim_keeps_others_out_and_respects_theirs(protocol: str) -> None:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as theirs:
        theirs.bind(("127.0.0.1", 0))
        port = theirs.getsockname()[1]
        with pytest.raises(OSError, match="Address already in use"):
            claim(protocol, "IPv4", "127.0.0.1", port)
    held = claim(protocol, "IPv4", "127.0.0.1", port)
    assert held is not None
    with held, socket.socket(socket.AF_INET, kind) as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="Address already in use"):
            theirs.bind(("127.0.0.1", port))
    assert claim(protocol, "IPv4", "192.0.2.1", port) is None, "it is not this machine's"
