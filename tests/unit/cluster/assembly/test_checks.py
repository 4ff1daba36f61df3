"""What speaks against a host, by kubeadm's names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybernetes.cluster.assembly.checks import ETCD_NEED, Facts, clock_problem, listed, problems, serious

GOOD = Facts(
    node_name="m1", address="10.0.0.11", addresses=("10.0.0.11",), docker="20.10", free={"/var/lib/etcd": 1 << 40}
)


def test_nothing_speaks_against_a_good_host() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"root": False}, "IsPrivilegedUser", "run it with sudo"),
        ({"member": "this host is in a cluster already"}, "HostState", "`pybernetes reset` takes it out first"),
        ({"node_name": "a_b"}, "Hostname", "give another one with --node-name"),
        ({"address": "10.0.0.9"}, "AdvertiseAddress", "give one of 10.0.0.11 with --apiserver-advertise-address"),
        ({"missing": [ETCD_NEED]}, "FileExisting-etcd", "apt-get install etcd-server"),
        ({"ports": {2379: "address already in use"}}, "Port-2379", "`ss -ltnp sport = :2379`"),
        ({"docker": ""}, "CRI", "apt-get install docker.io"),
        ({"free": {"/var/lib/etcd": 1 << 20}}, "Disk", "only 1 MiB are free at /var/lib/etcd"),
        (
            {"leftovers": ["/etc/kubernetes/kubelet.conf"]},
            "FileAvailable--etc-kubernetes-kubelet.conf",
            "`pybernetes reset`",
        ),
    ],
)
def test_each_problem_names_its_check_and_what_to_do(change: dict[str, Any], check: str, words: str) -> None:
    (found,) = problems(replace(GOOD, **change))
    assert found.check == check and words in found.text


def test_ignored_checks_warn() -> None:
    found = problems(replace(GOOD, docker="", root=False))
    errors, warnings = serious(found, ["cri"])
    assert ([one.check for one in errors], [one.check for one in warnings]) == (["IsPrivilegedUser"], ["CRI"])
    assert serious(found, ["all"])[0] == []
    assert "[ERROR IsPrivilegedUser]: user is not running as root" in listed(errors)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, ""), (-299.0, ""), (3600.0, "3600 s ahead of the cluster's"), (-3600.0, "3600 s behind")],
)
def test_clocks(seconds: float, words: str) -> None:
    found = clock_problem(seconds)
    assert words in found and bool(found) == bool(words)
