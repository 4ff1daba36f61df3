"""Skips this folder where it cannot run; hosts with a Docker each and nothing else on them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts import Host, lan, unable

HERE = Path(__file__).parent
PROGRAMS = ("ip", "iptables", "conntrack", "dockerd", "etcd", "nginx", "keepalived", "curl", "sshd")
ADDRESSES = {
    "master1": "10.20.0.11",
    "master2": "10.20.0.12",
    "master3": "10.20.0.13",
    "worker1": "10.20.0.21",
    "worker2": "10.20.0.22",
}
DOCKER = """
mkdir -p /etc/docker
echo '{"bridge": "none", "iptables": false, "ip6tables": false, "exec-opts": ["native.cgroupdriver=cgroupfs"]}' >/etc/docker/daemon.json
setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
for _ in $(seq 300); do docker version >/dev/null 2>&1 && exit; sleep 0.1; done
cat /var/log/dockerd.log
exit 1
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = unable(PROGRAMS)
    for item in items:
        if reason and HERE in Path(item.path).parents and "hosts" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """By name; gone afterwards."""
    with lan(tmp_path_factory.mktemp("deploy"), ADDRESSES) as started, ThreadPoolExecutor(len(started)) as threads:
        for code, said in threads.map(lambda host: host(DOCKER), started.values()):
            assert code == 0, said
        yield started
