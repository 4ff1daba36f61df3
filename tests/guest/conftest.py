"""Skips where the kernel has no IPVS; the namespaces are those of tests/netns."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from pybernetes.net.ipvs import IPVS
from tests.netns.namespaces import Namespace, created
from tests.netns.test_proxy_packets import network as network

PROGRAMS = ("ip", "ipset", "iptables-save", "iptables-restore", "conntrack")


def lack() -> str:
    """Why the tests cannot run here, "" if they can."""
    if os.geteuid():
        return "needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    subprocess.run(["modprobe", "-a", "ip_vs", "br_netfilter"], check=False, capture_output=True)
    try:
        IPVS().close()
    except OSError as error:
        return f"needs a kernel with IPVS ({error}): tools/guest.sh tests/guest"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = lack()
    for item in items:
        if reason and "/guest/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """At once: the machine may be gone before pytest tells it."""
    if report.failed:
        print(f"\n{report.nodeid}: {report.longreprtext}\n{report.caplog}\n{report.capstderr}", flush=True)


@pytest.fixture
def node() -> Iterator[Namespace]:
    """An empty namespace with its loopback up, and an address."""
    with created("node") as namespace:
        namespace.run("ip link add eth0 type dummy; ip link set eth0 up; ip addr add 192.0.2.2/24 dev eth0")
        namespace.run("ip -6 addr add 2001:db8:ffff::2/64 dev eth0 nodad")
        yield namespace
