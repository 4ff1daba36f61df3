"""Skips this folder where it cannot run; the hosts of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import Host, lan, unable

HERE = Path(__file__).parent
PROGRAMS = (
    "ip",
    "iptables",
    "conntrack",
    "dockerd",
    "etcd",
    "etcdctl",
    "nginx",
    "keepalived",
    "openssl",
    "sshd",
    "curl",
)
ADDRESSES = {
    "master1": "10.20.0.11",
    "master2": "10.20.0.12",
    "master3": "10.20.0.13",
    "worker1": "10.20.0.21",
    "worker2": "10.20.0.22",
    "worker3": "10.20.0.23",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = unable(PROGRAMS)
    for item in items:
        if reason and HERE in Path(item.path).parents and "hosts" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """By name, with nothing on them; gone afterwards."""
    with lan(tmp_path_factory.mktemp("byhand"), ADDRESSES) as started:
        yield started
