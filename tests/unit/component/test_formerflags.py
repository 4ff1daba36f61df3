"""Unit files of 1.17 start: flags that left are taken, and told of with the reason."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pybernetes.apiserver.options import FLAGS as APISERVER
from pybernetes.cli.scheduler import FLAGS as SCHEDULER
from pybernetes.component import flags, formerflags
from pybernetes.component.flags import Flag, FlagError
from pybernetes.controllers.options import FLAGS as CONTROLLER_MANAGER
from pybernetes.kubelet.options import FLAGS as KUBELET
from pybernetes.kubelet.options import OWN as OF_KUBELET
from pybernetes.proxy.options import FLAGS as PROXY
from pybernetes.proxy.options import OWN as OF_PROXY

UNITS = {
    "kube-apiserver": (
        APISERVER,
        "--advertise-address=10.0.0.1 --default-not-ready-toleration-seconds=360 --kubelet-https=true --insecure-port=0 "
        "--insecure-bind-address=127.0.0.1 --enable-swagger-ui=true --apiserver-count=3 --audit-log-maxage=15 "
        "--enable-logs-handler --event-ttl=168h --runtime-config=api/all=true --logtostderr=true --profiling",
    ),
    "kube-controller-manager": (
        CONTROLLER_MANAGER,
        "--bind-address=127.0.0.1 --allocate-node-cidrs=true --cluster-name=kubernetes --experimental-cluster-signing-duration=8760h "
        "--horizontal-pod-autoscaler-use-rest-clients=true --feature-gates=RotateKubeletServerCertificate=true --logtostderr=true",
    ),
    "kube-scheduler": (
        SCHEDULER,
        "--address=127.0.0.1 --leader-elect=true --algorithm-provider=DefaultProvider --alsologtostderr=true",
    ),
    "kubelet": (
        KUBELET,
        "--cgroup-driver=cgroupfs --network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin "
        "--image-pull-progress-deadline=15m --volume-plugin-dir=/x --fail-swap-on=false --allow-privileged=true --container-runtime=docker",
    ),
    "kube-proxy": (
        PROXY,
        "--proxy-port-range=0-0 --ipvs-scheduler=rr --logtostderr=true --resource-container=/kube-proxy",
    ),
}


@pytest.mark.parametrize("part", UNITS)
def test_a_unit_file_of_2020_starts(part: str) -> None:
    declared, line = UNITS[part]
    values = flags.parse(part, declared, line.split())
    assert flags.warnings(declared, values) != []


def test_each_flag_is_there_once() -> None:
    for declared, _ in UNITS.values():
        names = [flag.name for flag in declared]
        assert len(names) == len(set(names))


def test_a_warning_says_since_when() -> None:
    values = flags.parse("kube-apiserver", APISERVER, ["--kubelet-https=true"])
    assert flags.warnings(APISERVER, values) == [
        "--kubelet-https has no effect here: kubelets are always spoken to over TLS; upstream's has done nothing since 1.19"
    ]


def test_a_port_without_tls_is_refused() -> None:
    with pytest.raises(FlagError, match="only zero is allowed"):
        flags.parse("kube-apiserver", APISERVER, ["--insecure-port=8080"])


def test_a_part_s_own_flag_wins() -> None:
    own = Flag("log-dir", flags.string, "", "Where logs lie.")
    assert [flag for flag in formerflags.beside((own,), {}) if flag.name == "log-dir"] == [own]


@pytest.mark.parametrize(
    ("own", "table"), [(OF_KUBELET, formerflags.KUBELET), (OF_PROXY, formerflags.PROXY)], ids=["kubelet", "kube-proxy"]
)
def test_a_flag_that_got_an_effect_stands_in_no_table(own: Sequence[Flag], table: formerflags.Table) -> None:
    dead = {name for kinds in table.values() for names in kinds.values() for name in names.split()}
    assert sorted(dead & {flag.name for flag in own}) == []
