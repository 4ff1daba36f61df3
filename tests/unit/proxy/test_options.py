"""Flags and KubeProxyConfiguration."""

from typing import Any

import pytest

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.proxy.backends import MODES, IPVSOptions, PortRange, Userspace
from pybernetes.proxy.options import FLAGS, KubeProxyConfiguration, kube_proxy_configuration, port_range, with_file

# What kubeadm writes into the ConfigMap kube-proxy.
KUBEADM: dict[str, Any] = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "bindAddress": "0.0.0.0",
    "bindAddressHardFail": False,
    "clientConnection": {"acceptContentTypes": "", "burst": 0, "contentType": "", "kubeconfig": "/k.conf", "qps": 0},
    "clusterCIDR": "10.244.0.0/16",
    "configSyncPeriod": "0s",
    "conntrack": {"maxPerCore": None, "min": None, "tcpCloseWaitTimeout": None, "tcpEstablishedTimeout": "1h0m0s"},
    "detectLocal": {"bridgeInterface": "", "interfaceNamePrefix": ""},
    "detectLocalMode": "",
    "enableProfiling": False,
    "healthzBindAddress": "",
    "hostnameOverride": "node-a",
    "iptables": {
        "localhostNodePorts": None,
        "masqueradeAll": True,
        "masqueradeBit": None,
        "minSyncPeriod": "0s",
        "syncPeriod": "0s",
    },
    "ipvs": {"strictARP": False},
    "logging": {"verbosity": 0},
    "metricsBindAddress": "0.0.0.0:10249",
    "mode": "",
    "nodePortAddresses": None,
    "oomScoreAdj": None,
    "portRange": "",
    "showHiddenMetricsForVersion": "",
    "winkernel": {"enableDSR": False},
}


def parsed(*arguments: str, file: dict[str, Any] | None = None) -> KubeProxyConfiguration:
    values = flags.parse("kube-proxy", FLAGS, arguments)
    return kube_proxy_configuration(with_file(values, file) if file is not None else values)


def test_defaults_are_upstreams() -> None:
    made = parsed("--hostname-override=Node1 ")
    assert (made.node, made.healthz, made.metrics) == ("node1", ("0.0.0.0", 10256), ("127.0.0.1", 10249))
    assert (made.min_sync_period, made.sync_period, made.masquerade_bit) == (1.0, 30.0, 14)
    assert (made.conntrack.maximum(2), made.conntrack.maximum(8)) == (131072, 262144)


def test_kubeadms_file() -> None:
    made = parsed("--config=x", file=KUBEADM)
    assert (made.node, made.cluster_cidrs) == ("node-a", ("10.244.0.0/16",))
    values = with_file(flags.parse("kube-proxy", FLAGS, ["--config=x"]), KUBEADM)
    assert (values["kubeconfig"], values["kube-api-qps"], values["kube-api-burst"]) == ("/k.conf", -1.0, 10)
    assert (made.masquerade_all, made.masquerade_bit, made.min_sync_period, made.sync_period) == (True, 14, 1.0, 30.0)
    assert made.metrics == ("0.0.0.0", 10249)
    assert made.healthz == ("0.0.0.0", 10256)
    assert made.conntrack.tcp_established == 3600
    # The file wins over flags, the node's name excepted.
    made = parsed("--config=x", "--masquerade-all=false", "--hostname-override=b", file=KUBEADM)
    assert (made.masquerade_all, made.node) == (True, "b")


def test_the_section_of_the_mode_counts(caplog: pytest.LogCaptureFixture) -> None:
    file = {
        **KUBEADM,
        "mode": "nftables",
        "nftables": {"masqueradeAll": False, "masqueradeBit": 12, "minSyncPeriod": "2s", "syncPeriod": "1m0s"},
    }
    chosen = parsed("--config=x", file=file)
    assert (chosen.mode, chosen.masquerade_all, chosen.masquerade_bit) == ("nftables", False, 12)
    assert (chosen.min_sync_period, chosen.sync_period) == (2.0, 60.0)
    assert "iptables.masqueradeAll has no effect here" in caplog.text


def test_what_ipvs_reads_of_a_file(caplog: pytest.LogCaptureFixture) -> None:
    section = {
        "excludeCIDRs": ["203.0.113.7/24"],
        "minSyncPeriod": "2s",
        "scheduler": "lc",
        "strictARP": True,
        "syncPeriod": "1m0s",
        "tcpFinTimeout": "2m0s",
        "tcpTimeout": "15m0s",
        "udpTimeout": "30s",
    }
    file = {**KUBEADM, "mode": "ipvs", "ipvs": section}
    file["iptables"] = {**KUBEADM["iptables"], "masqueradeBit": 12, "syncPeriod": "7s"}
    chosen = parsed("--config=x", file=file).in_mode("ipvs")
    assert chosen.ipvs == IPVSOptions("lc", True, ("203.0.113.0/24",), 900.0, 120.0, 30.0)
    assert (chosen.min_sync_period, chosen.sync_period) == (2.0, 60.0)
    assert (chosen.masquerade_all, chosen.masquerade_bit) == (True, 12)
    assert "ipvs" not in caplog.text and "iptables.syncPeriod has no effect here" in caplog.text
    assert not chosen.node_ports_on_loopback


def test_ipvs_defaults_are_upstreams_and_another_modes_sections_are_not_read(caplog: pytest.LogCaptureFixture) -> None:
    chosen = parsed("--proxy-mode=ipvs").in_mode("ipvs")
    assert (chosen.ipvs, chosen.min_sync_period, chosen.sync_period) == (IPVSOptions("rr"), 0.0, 30.0)
    chosen = parsed("--config=x", file={**KUBEADM, "ipvs": {"scheduler": "lc"}})
    assert chosen.ipvs == IPVSOptions("rr")
    assert "ipvs.scheduler has no effect here" in caplog.text


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--ipvs-sync-period=0s", "--ipvs-sync-period: must be greater than 0"),
        ("--ipvs-min-sync-period=1m", "--ipvs-min-sync-period: must be between 0 and --ipvs-sync-period"),
        ("--ipvs-tcp-timeout=-1s", "--ipvs-tcp-timeout: must be between 0 and"),
        ("--ipvs-udp-timeout=10000h", "--ipvs-udp-timeout: must be between 0 and"),
        ("--ipvs-exclude-cidrs=x", "--ipvs-exclude-cidrs: 'x' does not appear to be an IPv4 or IPv6 network"),
        ("--ipvs-scheduler=weightedroundrobin", "no scheduler has a name that long"),
    ],
)
def test_mistakes_in_ipvs(argument: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed("--proxy-mode=ipvs", argument)
    assert message in str(caught.value)


def test_in_nftables_node_ports_are_the_primary_addresss_unless_said_otherwise() -> None:
    assert parsed().in_mode("nftables").node_port_addresses == ("primary",)
    assert parsed("--nodeport-addresses=0.0.0.0/0").in_mode("nftables").node_port_addresses == ("0.0.0.0/0",)
    assert parsed().in_mode("iptables").node_port_addresses == ()
    assert not parsed().in_mode("nftables").node_ports_on_loopback


# Every field of v1alpha1 from 1.17 to today that KUBEADM has not, with a value that says something.
OTHERS: dict[str, Any] = {
    "conntrack": {"tcpBeLiberal": True, "udpTimeout": "10s", "udpStreamTimeout": "20s"},
    "featureGates": {"EndpointSliceProxying": True},
    "ipvs": {
        "excludeCIDRs": ["192.0.2.0/24"],
        "minSyncPeriod": "1s",
        "scheduler": "rr",
        "strictARP": True,
        "syncPeriod": "1m0s",
        "tcpFinTimeout": "1s",
        "tcpTimeout": "1s",
        "udpTimeout": "1s",
    },
    "nftables": {"masqueradeAll": True, "masqueradeBit": 13, "minSyncPeriod": "2s", "syncPeriod": "1m0s"},
    "udpIdleTimeout": "250ms",
    "windowsRunAsService": True,
    "winkernel": {"enableDSR": True, "networkName": "x", "rootHnsEndpointName": "y", "sourceVip": "192.0.2.1"},
}


def test_every_field_of_upstreams_is_taken_and_what_does_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    parsed("--config=x", file={**KUBEADM, **OTHERS})
    for name in ("featureGates", "windowsRunAsService", "winkernel", "nftables.masqueradeAll"):
        assert f"{name} has no effect here" in caplog.text
    assert "udpIdleTimeout" not in caplog.text and "conntrack" not in caplog.text


def test_userspace() -> None:
    assert parsed().userspace == Userspace("", None, 0.25)
    file = {**KUBEADM, "mode": "userspace", "bindAddress": "192.0.2.1", "portRange": "30000+99", "udpIdleTimeout": "2s"}
    chosen = parsed("--config=x", file={**file, "iptables": {"syncPeriod": "1m0s", "masqueradeAll": True}})
    assert chosen.userspace == Userspace("192.0.2.1", PortRange(30000, 100), 2.0)
    assert (chosen.sync_period, chosen.without_effect) == (60.0, ("--masquerade-all",))
    assert parsed("--config=x", file={**file, "udpIdleTimeout": "0s"}).userspace.udp_timeout == 0.25
    with pytest.raises(UsageError, match="cannot proxy on localhost"):
        parsed("--proxy-mode=userspace", "--bind-address=127.0.0.1")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("", None),
        ("0", None),
        ("0-0", None),
        ("30000", PortRange(30000, 1)),
        (" 30000-30010 ", PortRange(30000, 11)),
        ("30000+10", PortRange(30000, 11)),
    ],
)
def test_port_ranges(text: str, ports: PortRange | None) -> None:
    assert port_range(text) == ports


def test_families_have_their_cidr() -> None:
    made = parsed("--cluster-cidr=10.244.0.0/16,fd00::/48")
    assert (made.cluster_cidr("IPv4"), made.cluster_cidr("IPv6")) == ("10.244.0.0/16", "fd00::/48")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--proxy-mode=kernelspace", f"--proxy-mode=kernelspace: only {', '.join(MODES)} is there"),
        ("--bind-address=host", "--bind-address=host: must be an IP address"),
        ("--udp-timeout=0s", "--udp-timeout: must be greater than 0"),
        ("--proxy-port-range=a-b", "--proxy-port-range=a-b: must be FIRST-LAST, FIRST+MORE or one port"),
        ("--proxy-port-range=9-3", "--proxy-port-range=9-3: end port cannot be less than start port"),
        ("--proxy-port-range=65000+600", "--proxy-port-range=65000+600: the port range cannot be greater than 65535"),
        ("--cluster-cidr=x", "--cluster-cidr: 'x' does not appear to be an IPv4 or IPv6 network"),
        ("--iptables-masquerade-bit=32", "--iptables-masquerade-bit=32: must be within 0 and 31"),
        ("--iptables-sync-period=0s", "--iptables-sync-period: must be greater than 0"),
        ("--healthz-bind-address=host:1", "--healthz-bind-address=host:1: must be an IP address"),
        ("--detect-local-mode=Foo", "--detect-local-mode=Foo: choose one of ClusterCIDR"),
        ("--detect-local-mode=BridgeInterface", "--detect-local-mode=BridgeInterface needs --pod-bridge-interface"),
        ("--oom-score-adj=1001", "--oom-score-adj=1001: must be within the range [-1000, 1000]"),
        ("--oom-score-adj=-1001", "--oom-score-adj=-1001: must be within the range [-1000, 1000]"),
        ("--conntrack-max-per-core=-1", "--conntrack-max-per-core: must be greater than or equal to 0"),
        ("--conntrack-min=-1", "--conntrack-min: must be greater than or equal to 0"),
        ("--conntrack-tcp-timeout-established=-1s", "--conntrack-tcp-timeout-established: must be greater than"),
        ("--conntrack-tcp-timeout-close-wait=-1s", "--conntrack-tcp-timeout-close-wait: must be greater than"),
        ("--conntrack-udp-timeout=-1s", "--conntrack-udp-timeout: must be greater than or equal to 0"),
        ("--conntrack-udp-timeout-stream=-1s", "--conntrack-udp-timeout-stream: must be greater than or equal to 0"),
        ("--kube-api-burst=-1", "--kube-api-burst: must be greater than or equal to 0"),
        ("--config-sync-period=0s", "--config-sync-period: must be greater than 0"),
        (
            "--cluster-cidr=10.0.0.0/8,11.0.0.0/8",
            "must be a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)",
        ),
        ("--cluster-cidr=fd00::/48,fd01::/48", "must be a valid DualStack CIDR"),
        ("--cluster-cidr=10.0.0.0/8,fd00::/48,10.1.0.0/16", "only one CIDR allowed or a valid DualStack CIDR"),
    ],
)
def test_mistakes(argument: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(argument)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({}, "want KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1, not None, None"),
        ({**KUBEADM, "mode": "kernelspace"}, "--proxy-mode=kernelspace"),
        ({**KUBEADM, "iptables": {"masqueradeBit": "x"}}, "iptables.masqueradeBit"),
        ({**KUBEADM, "typo": 1}, 'strict decoding error: unknown field "typo"'),
        ({**KUBEADM, "iptables": {"typo": 1}}, 'strict decoding error: unknown field "iptables.typo"'),
    ],
)
def test_mistakes_in_the_file(file: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed("--config=x", file=file)
    assert message in str(caught.value)


def test_what_has_no_effect_is_said(caplog: pytest.LogCaptureFixture) -> None:
    parsed("--config=x", "--masquerade-all", file={**KUBEADM, "nftables": {"syncPeriod": "10s"}})
    assert "KubeProxyConfiguration: nftables.syncPeriod has no effect here" in caplog.text
    assert "ipvs" not in caplog.text  # all of it zero
    assert "--masquerade-all has no effect together with --config" in caplog.text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("0.0.0.0:0", None),
        ("[::]:10249", ("::", 10249)),
        ("::1", ("::1", 10249)),
        ("10.0.0.1", ("10.0.0.1", 10249)),
    ],
)
def test_addresses(text: str, place: tuple[str, int] | None) -> None:
    assert parsed(f"--metrics-bind-address={text}").metrics == place
