"""Flags and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.flannel.etcdregistry import EtcdConfig
from pybernetes.flannel.interface import Selection
from pybernetes.flannel.options import FLAGS, FlanneldOptions, command_line, flanneld_options


def parsed(*arguments: str, **environment: str) -> FlanneldOptions:
    return flanneld_options(flags.parse("flanneld", FLAGS, command_line(arguments, environment)))


def test_defaults_are_upstreams() -> None:
    assert parsed("--kube-subnet-mgr") == FlanneldOptions(
        net_config=Path("/etc/kube-flannel/net-conf.json"),
        annotation_prefix="flannel.alpha.coreos.com",
        interface=Selection(),
        subnet_file=Path("/run/flannel/subnet.env"),
        ip_masq=False,
        random_fully=True,
        forward_rules=True,
        blackhole_route=False,
        resync_seconds=5,
        tell_available=True,
        healthz=None,
        etcd_api="v2",
        etcd=None,
        renew_margin=3600,
    )


def test_without_the_kubernetes_api_leases_are_in_etcd() -> None:
    endpoints = ("http://127.0.0.1:4001", "http://127.0.0.1:2379")
    assert parsed().etcd == EtcdConfig(endpoints, "/coreos.com/network")
    given = parsed("--etcd-endpoints=https://a:1,https://b:2", "--etcd-username=me", "--subnet-lease-renew-margin=1")
    assert given.etcd == EtcdConfig(("https://a:1", "https://b:2"), "/coreos.com/network", username="me")
    assert given.renew_margin == 60


def test_the_environment_speaks_where_the_command_line_does_not() -> None:
    told = {"FLANNELD_IP_MASQ": "true", "FLANNELD_IFACE": "eth7", "FLANNELD_HEALTHZ_PORT": "8285", "FLANNELD_V": ""}
    made = parsed("-kube-subnet-mgr", "-iface", "eth0", "--iface=eth1", **told)
    assert made.ip_masq and made.interface.interfaces == ("eth0", "eth1") and made.healthz == ("0.0.0.0", 8285)
    assert parsed(FLANNELD_KUBE_SUBNET_MGR="true", **told).interface.interfaces == ("eth7",)


def test_patterns_may_hold_commas() -> None:
    assert parsed("--kube-subnet-mgr", "--iface-regex=eth[0-9]{1,2}", "--iface-regex=^ens").interface.patterns == (
        "eth[0-9]{1,2}",
        "^ens",
    )


def test_kube_flannel_ymls_command_line_is_taken_without_a_warning() -> None:
    values = flags.parse("flanneld", FLAGS, command_line(["--ip-masq", "--kube-subnet-mgr"], {}))
    assert flags.warnings(FLAGS, values) == []
    without_effect = flags.parse("flanneld", FLAGS, ["--log_backtrace_at=a.go:1", "--vmodule=x=1"])
    assert len(flags.warnings(FLAGS, without_effect)) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kube-subnet-mgr", "--subnet-lease-renew-margin=0"], "Invalid subnet-lease-renew-margin option"),
        (["--kube-subnet-mgr", "--subnet-lease-renew-margin=1440"], "Invalid subnet-lease-renew-margin option"),
        (["--kube-subnet-mgr", "--iptables-resync=0"], "--iptables-resync=0: must be greater than 0"),
        (["--kube-subnet-mgr", "--healthz-port=65536"], "--healthz-port=65536"),
    ],
)
def test_refusals(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parsed(*arguments)


@pytest.mark.parametrize("name", ["IPTABLES_RESYNC", "IP_MASQ"])
def test_an_environment_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(flags.FlagError, match=f'"x" for "--{name.lower().replace("_", "-")}" flag'):
        parsed("--kube-subnet-mgr", **{f"FLANNELD_{name}": "x"})
