"""kube-proxy's flags and its KubeProxyConfiguration (upstream: cmd/kube-proxy/app/options.go, kubeproxy.config.k8s.io/v1alpha1).

As upstream: with --config all other flags but --hostname-override and --master are ignored.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pybernetes.component import flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values

from .backends import DEFAULT_MODE, MODES
from .sysctl import Conntrack

_log = logging.getLogger(__name__)

API_VERSION, KIND = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"
DETECT_MODES = ("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")

FLAGS = (
    Flag(
        "bind-address", flags.string, "0.0.0.0", "Overrides the idea of the node's primary IP; nothing is bound to it."
    ),
    Flag("bind-address-hard-fail", flags.boolean, False, "Treat failure to bind to a port as fatal."),
    Flag("cleanup", flags.boolean, False, "Remove all rules of the proxy and exit."),
    Flag(
        "cluster-cidr", flags.strings, [], "The range of pods, for --detect-local-mode=ClusterCIDR; two for dual stack."
    ),
    Flag("config", flags.string, "", "A KubeProxyConfiguration; the other flags are ignored then."),
    Flag("config-sync-period", flags.duration, 900.0, "Taken for compatibility: informers need no refresh."),
    Flag(
        "conntrack-max-per-core", flags.integer, 32768, "Tracked connections for each core; 0 leaves the limit alone."
    ),
    Flag("conntrack-min", flags.integer, 131072, "At least so many tracked connections."),
    Flag("conntrack-tcp-be-liberal", flags.boolean, False, "Sets nf_conntrack_tcp_be_liberal."),
    Flag("conntrack-tcp-timeout-close-wait", flags.duration, 3600.0, "NAT timeout in CLOSE_WAIT."),
    Flag("conntrack-tcp-timeout-established", flags.duration, 86400.0, "Idle timeout of connections; 0 leaves it."),
    Flag("conntrack-udp-timeout", flags.duration, 0.0, "Idle timeout of unreplied UDP flows; 0 leaves it."),
    Flag("conntrack-udp-timeout-stream", flags.duration, 0.0, "Idle timeout of assured UDP flows; 0 leaves it."),
    Flag("detect-local-mode", flags.string, "", "ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix."),
    Flag("feature-gates", flags.switches, {}, "Taken for compatibility."),
    Flag("healthz-bind-address", flags.string, "0.0.0.0:10256", "Where health is served; empty: nowhere."),
    Flag("hostname-override", flags.string, "", "The node's name, if it is not the host's."),
    Flag("iptables-localhost-nodeports", flags.boolean, True, "Whether node ports answer on 127.0.0.1 (IPv4)."),
    Flag("iptables-masquerade-bit", flags.integer, 14, "The fwmark bit for packets that need SNAT, 0 to 31."),
    Flag("iptables-min-sync-period", flags.duration, 1.0, "Shortest time between changes of rules."),
    Flag("iptables-sync-period", flags.duration, 30.0, "How often rules are compared with the kernel's and repaired."),
    Flag("kube-api-burst", flags.integer, 10, "Taken for compatibility."),
    Flag("kube-api-content-type", flags.string, "application/json", "Taken for compatibility: JSON is spoken."),
    Flag("kube-api-qps", flags.number, 5.0, "Taken for compatibility."),
    Flag("kubeconfig", flags.string, "", "How to reach the API server; without it the pod's service account."),
    Flag("masquerade-all", flags.boolean, False, "SNAT everything that is sent to cluster IPs."),
    Flag("master", flags.string, "", "The API server's address, instead of the kubeconfig's."),
    Flag("metrics-bind-address", flags.string, "127.0.0.1:10249", "Where metrics are served; empty: nowhere."),
    Flag("nodeport-addresses", flags.strings, [], "CIDRs of the node's addresses for node ports, or primary."),
    Flag("oom-score-adj", flags.integer, -999, "The process's OOM score adjustment."),
    Flag("pod-bridge-interface", flags.string, "", "For --detect-local-mode=BridgeInterface."),
    Flag("pod-interface-name-prefix", flags.string, "", "For --detect-local-mode=InterfaceNamePrefix."),
    Flag("profiling", flags.boolean, False, "Taken for compatibility."),
    Flag("proxy-mode", flags.string, "", f"{', '.join(MODES)}; {DEFAULT_MODE} if empty."),
    VERBOSITY,
)

# Field of the configuration -> flag of the same meaning; a field that is absent, null or "" keeps the flag's default.
FIELDS = {
    "bindAddress": "bind-address",
    "bindAddressHardFail": "bind-address-hard-fail",
    "clientConnection.kubeconfig": "kubeconfig",
    "clientConnection.burst": "kube-api-burst",
    "clientConnection.qps": "kube-api-qps",
    "clientConnection.contentType": "kube-api-content-type",
    "clusterCIDR": "cluster-cidr",
    "configSyncPeriod": "config-sync-period",
    "conntrack.maxPerCore": "conntrack-max-per-core",
    "conntrack.min": "conntrack-min",
    "conntrack.tcpBeLiberal": "conntrack-tcp-be-liberal",
    "conntrack.tcpCloseWaitTimeout": "conntrack-tcp-timeout-close-wait",
    "conntrack.tcpEstablishedTimeout": "conntrack-tcp-timeout-established",
    "conntrack.udpTimeout": "conntrack-udp-timeout",
    "conntrack.udpStreamTimeout": "conntrack-udp-timeout-stream",
    "detectLocal.bridgeInterface": "pod-bridge-interface",
    "detectLocal.interfaceNamePrefix": "pod-interface-name-prefix",
    "detectLocalMode": "detect-local-mode",
    "enableProfiling": "profiling",
    "healthzBindAddress": "healthz-bind-address",
    "hostnameOverride": "hostname-override",
    "iptables.localhostNodePorts": "iptables-localhost-nodeports",
    "iptables.masqueradeAll": "masquerade-all",
    "iptables.masqueradeBit": "iptables-masquerade-bit",
    "iptables.minSyncPeriod": "iptables-min-sync-period",
    "iptables.syncPeriod": "iptables-sync-period",
    "metricsBindAddress": "metrics-bind-address",
    "mode": "proxy-mode",
    "nodePortAddresses": "nodeport-addresses",
    "oomScoreAdj": "oom-score-adj",
}
IGNORED_SECTIONS = ("ipvs", "nftables", "logging", "winkernel", "featureGates", "portRange", "udpIdleTimeout")
ZERO_MEANS_DEFAULT = ("0s", "0", 0)  # kubeadm writes every duration as 0s


@dataclass(frozen=True, slots=True)
class Settings:
    """What the proxy does; times in seconds, addresses (host, port), None for a server that is switched off."""

    node: str
    kubeconfig: str
    master: str
    cluster_cidrs: tuple[str, ...]
    mode: str  # one of backends.MODES
    detect_local_mode: str
    pod_interface: str
    masquerade_all: bool
    masquerade_bit: int
    localhost_node_ports: bool
    node_port_addresses: tuple[str, ...]
    min_sync_period: float
    sync_period: float
    healthz: tuple[str, int] | None
    metrics: tuple[str, int] | None
    bind_hard_fail: bool
    oom_score_adj: int
    conntrack: Conntrack = field(default_factory=Conntrack)

    def cluster_cidr(self, family: str) -> str:
        """The pods' range of a family, "" if there is none."""
        return next((c for c in self.cluster_cidrs if (":" in c) == (family == "IPv6")), "")


def with_file(values: Values, document: Any) -> Values:
    """The values that a configuration file asks for. UsageError where it cannot be used."""
    if not isinstance(document, dict):
        raise UsageError(f"--config={values['config']}: it is no {KIND}")
    if (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        given = f"{document.get('apiVersion')}, {document.get('kind')}"
        raise UsageError(f"--config={values['config']}: {API_VERSION}, {KIND} is wanted, not {given}")
    merged = {flag.name: flag.default for flag in FLAGS}
    kept = ("config", "cleanup", "master", "v")
    merged.update({name: values[name] for name in kept})
    known = {flag.name: flag for flag in FLAGS}
    for path, value in _leaves(document):
        name = FIELDS.get(path)
        if name is None:
            _log.warning("%s: unknown field %r is ignored", KIND, path)
        elif not _means_default(name, value):
            merged[name] = _converted(known[name], path, value)
    merged["hostname-override"] = values["hostname-override"] or merged["hostname-override"]
    return merged


def _leaves(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for key, value in document.items():
        if key in ("apiVersion", "kind", *IGNORED_SECTIONS):
            continue
        if isinstance(value, dict):
            inside = [(f"{key}.{name}", inner) for name, inner in value.items()]
            found += [(path, inner) for path, inner in inside if path != "clientConnection.acceptContentTypes"]
        else:
            found.append((key, value))
    return [(path, value) for path, value in found if value is not None and path != "showHiddenMetricsForVersion"]


def _means_default(name: str, value: Any) -> bool:
    zero = (
        name in ("iptables-min-sync-period", "iptables-sync-period", "config-sync-period")
        and value in ZERO_MEANS_DEFAULT
    )
    return value == "" or zero


def _converted(flag: Flag, path: str, value: Any) -> Any:
    text = (
        ",".join(map(str, value))
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    try:
        return flag.type(text)
    except ValueError as error:
        raise UsageError(f"{KIND}: {path}: {value!r}: {error}") from None


def settings(values: Values) -> Settings:
    """Checked values. UsageError with the flag's name."""
    if values["proxy-mode"] not in ("", *MODES):
        raise UsageError(f"--proxy-mode={values['proxy-mode']}: only {', '.join(MODES)} is there")
    if values["detect-local-mode"] not in DETECT_MODES:
        raise UsageError(
            f"--detect-local-mode={values['detect-local-mode']}: choose one of {', '.join(DETECT_MODES[1:])}"
        )
    if not 0 <= values["iptables-masquerade-bit"] <= 31:
        raise UsageError(f"--iptables-masquerade-bit={values['iptables-masquerade-bit']}: must be within 0 and 31")
    if values["iptables-sync-period"] <= 0:
        raise UsageError("--iptables-sync-period: must be greater than 0")
    if not 0 <= values["iptables-min-sync-period"] <= values["iptables-sync-period"]:
        raise UsageError("--iptables-min-sync-period: must be between 0 and --iptables-sync-period")
    mode = values["detect-local-mode"] or "ClusterCIDR"
    prefix = values["pod-interface-name-prefix"]
    interface = {"BridgeInterface": values["pod-bridge-interface"], "InterfaceNamePrefix": prefix and f"{prefix}+"}
    if mode in interface and not interface[mode]:
        flag = "pod-bridge-interface" if mode == "BridgeInterface" else "pod-interface-name-prefix"
        raise UsageError(f"--detect-local-mode={mode} needs --{flag}")
    return Settings(
        node=(values["hostname-override"] or socket.gethostname()).strip().lower(),
        kubeconfig=values["kubeconfig"],
        master=values["master"],
        cluster_cidrs=tuple(_networks("cluster-cidr", values)),
        mode=values["proxy-mode"] or DEFAULT_MODE,
        detect_local_mode=mode,
        pod_interface=interface.get(mode, ""),
        masquerade_all=values["masquerade-all"],
        masquerade_bit=values["iptables-masquerade-bit"],
        localhost_node_ports=values["iptables-localhost-nodeports"],
        node_port_addresses=("primary",)
        if values["nodeport-addresses"] == ["primary"]
        else tuple(_networks("nodeport-addresses", values)),
        min_sync_period=values["iptables-min-sync-period"],
        sync_period=values["iptables-sync-period"],
        healthz=_address("healthz-bind-address", values, 10256),
        metrics=_address("metrics-bind-address", values, 10249),
        bind_hard_fail=values["bind-address-hard-fail"],
        oom_score_adj=values["oom-score-adj"],
        conntrack=_conntrack(values),
    )


def _conntrack(values: Values) -> Conntrack:
    return Conntrack(
        max_per_core=values["conntrack-max-per-core"],
        minimum=values["conntrack-min"],
        tcp_established=values["conntrack-tcp-timeout-established"],
        tcp_close_wait=values["conntrack-tcp-timeout-close-wait"],
        tcp_be_liberal=values["conntrack-tcp-be-liberal"],
        udp=values["conntrack-udp-timeout"],
        udp_stream=values["conntrack-udp-timeout-stream"],
    )


def _networks(name: str, values: Values) -> list[str]:
    try:
        return [str(ipaddress.ip_network(text.strip(), strict=False)) for text in values[name]]
    except ValueError as error:
        raise UsageError(f"--{name}: {error}") from None


def _address(name: str, values: Values, default_port: int) -> tuple[str, int] | None:
    """host:port, [v6]:port, or an address alone."""
    text = values[name]
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or (":" in host and not host.startswith("[")):
        host, port = text, str(default_port)
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise UsageError(
            f"--{name}={text}: must be an IP address, or one with a port (0.0.0.0:{default_port})"
        ) from None
    return (host, number) if number else None
