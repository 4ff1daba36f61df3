"""Skips this folder where it cannot run; the hosts, and a desk from which they are deployed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import Host, lan, unable

HERE = Path(__file__).parent
PROGRAMS = ("ip", "iptables", "conntrack", "dockerd", "etcd", "nginx", "keepalived", "curl", "sshd")
ADDRESSES = {"desk": "10.20.0.2", "master1": "10.20.0.11", "worker1": "10.20.0.21"}
DOCKER_UNIT = """\
[Unit]
Description=Docker
[Service]
Type=notify
ExecStart=/usr/sbin/dockerd
Restart=on-failure
KillMode=process
"""
DOCKER_CONFIG = '{"bridge": "none", "iptables": false, "ip-forward": false, "live-restore": true}\n'
# What a Debian with its docker.io has, and systemd would read: the stand-in reads no socket units.
PREPARED = f"""\
mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<'END'
{DOCKER_CONFIG}END
cat >/etc/systemd/system/docker.service <<'END'
{DOCKER_UNIT}END
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = unable(PROGRAMS)
    for item in items:
        if reason and HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """By name, with Docker's packages on them and no cluster; gone afterwards."""
    with lan(tmp_path_factory.mktemp("rollout"), ADDRESSES) as started:
        for host in started.values():
            code, output = host(PREPARED)
            assert code == 0, output
        yield started
