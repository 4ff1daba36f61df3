"""docs/operations.md on a host that is namespaces: the parts of one control-plane host."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pybernetes.deploy.configuration import Configuration, defaulted
from pybernetes.deploy.daemons import controlplane, etcd
from pybernetes.deploy.daemons.model import ETCD, MASTER, Cluster
from pybernetes.deploy.daemons.model import Host as Described
from pybernetes.deploy.daemons.render import systemd
from pybernetes.deploy.types import ClusterConfiguration, InitConfiguration
from tests.byhand.page import blocks, difference, steps
from tests.hosts import REPOSITORY, Host, lan, unable

WHY_NOT = unable(("ip", "etcd", "etcdctl", "sshd", "curl"))
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
PAGE = REPOSITORY / "docs" / "operations.md"
BEGIN = "## How is it?"  # before it: a cluster from one file, in tests/deploy
UNTIL_SECONDS = 120.0
ADDRESS = "10.20.0.11"
PYBERNETES = '#!/bin/sh\nexec /opt/pybernetes/.venv/bin/python -m pybernetes "$@"\n'
UNITS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def prepared() -> str:
    """A script that makes the host: the files of init's phases, and units as they are described."""
    cluster = ClusterConfiguration(encryption_algorithm="ECDSA-P256")
    configuration = defaulted(Configuration(InitConfiguration(), cluster), "master1", ADDRESS)
    described = Described("master1", ADDRESS, (ETCD, MASTER))
    whole = Cluster(configuration, (described,))
    made = (
        etcd.etcd(whole, described),
        controlplane.api_server(whole, described),
        controlplane.controller_manager(whole, described),
        controlplane.scheduler(whole, described),
    )
    script = [f"cat >/usr/local/bin/pybernetes <<'END'\n{PYBERNETES}END\nchmod +x /usr/local/bin/pybernetes"]
    script += [
        f"pybernetes init phase {phase} all --apiserver-advertise-address={ADDRESS}"
        for phase in ("certs", "kubeconfig")
    ]
    script += [f"cat >/etc/systemd/system/{one.name}.service <<'END'\n{systemd.unit(one).text}END" for one in made]
    script += [
        "cp /etc/kubernetes/super-admin.conf /etc/kubernetes/admin.conf"
    ]  # whose rights are objects, which init makes
    script += ["mkdir -p -m 700 /var/lib/etcd", *(f"systemctl start {unit}" for unit in UNITS)]
    return "set -e\n" + "\n".join(script)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with lan(tmp_path_factory.mktemp("operations"), {"master1": ADDRESS}) as hosts:
        code, output = hosts["master1"](prepared())
        assert code == 0, output
        yield hosts["master1"]


def logs(host: Host) -> str:
    return host("tail -n 15 /var/log/units/*.log /var/log/units/*/* 2>/dev/null")[1]


def test_the_page(host: Host) -> None:
    before, _, page = PAGE.read_text().partition(BEGIN)
    assert page
    for block in blocks("\n" * before.count("\n") + BEGIN + page):
        if block.language == "sh":
            code, came = host(f"set -eu\n{block.body}")
            assert code == 0, f"{PAGE.name}:{block.line} ended with {code}:\n{came}{logs(host)}"
            continue
        for command, shown in steps(block.body):
            end = time.monotonic() + (UNTIL_SECONDS if "until" in block.options else 0.0)
            while wrong := difference(shown, (came := host(command)[1])):
                assert time.monotonic() < end, (
                    f"{PAGE.name}:{block.line}: {command}\n{wrong}all of it:\n{came}{logs(host)}"
                )
                time.sleep(0.3)


def test_every_command_of_the_page_is_one(host: Host) -> None:
    """Also those that stand in the text."""
    of_nodes = ("node drain", "node uncordon", "node remove", "upgrade plan", "upgrade apply", "upgrade node")
    for words in (*of_nodes, "certs rotate-ca trust", "etcd restore", "store copy"):
        assert words in PAGE.read_text()
        assert host(f"pybernetes {words} --help")[0] == 0
