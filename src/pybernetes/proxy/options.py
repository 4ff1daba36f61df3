"""kube-proxy's flags and its KubeProxyConfiguration (upstream: cmd/kube-proxy/app/options.go, kubeproxy.config.k8s.io/v1alpha1).

As upstream: with --config all other flags but --hostname-override and --master are ignored.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field, replace
from typing import Any

from pybernetes.component import configfile, flags, formerflags
from pybernetes.component.bindaddress import bind_address
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.configfile import Kind
from pybernetes.component.flags import Flag, Values

from .backends import DEFAULT_MODES, MODES, IPVSOptions, PortRange, Userspace
from .sysctl import Conntrack

LAST_PORT = 65535
_LONGEST_TIMEOUT = 2**31 // 1000  # seconds; the kernel counts ticks, a thousand each second at most
_LONGEST_SCHEDULER = 15  # bytes; the kernel's IP_VS_SCHEDNAME_MAXLEN without its end

_NOT_NEGATIVE = (
    "conntrack-max-per-core",
    "conntrack-min",
    "conntrack-tcp-timeout-close-wait",
    "conntrack-tcp-timeout-established",
    "conntrack-udp-timeout",
    "conntrack-udp-timeout-stream",
    "kube-api-burst",
)

DETECT_MODES = ("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")

OWN = (
    Flag(
        "bind-address", flags.string, "0.0.0.0", "Where the ports of the mode userspace listen; the others have none."
    ),
    Flag("bind-address-hard-fail", flags.boolean, False, "Treat failure to bind to a port as fatal."),
    Flag("cleanup", flags.boolean, False, "Remove all rules of the proxy and exit."),
    Flag(
        "cluster-cidr", flags.strings, [], "The range of pods, for --detect-local-mode=ClusterCIDR; two for dual stack."
    ),
    Flag("config", flags.string, "", "A KubeProxyConfiguration; the other flags are ignored then."),
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
    Flag("healthz-bind-address", flags.string, "0.0.0.0:10256", "Where health is served; empty: nowhere."),
    Flag("hostname-override", flags.string, "", "The node's name, if it is not the host's."),
    Flag("iptables-localhost-nodeports", flags.boolean, True, "Whether node ports answer on 127.0.0.1 (IPv4)."),
    Flag("iptables-masquerade-bit", flags.integer, 14, "The fwmark bit for packets that need SNAT, 0 to 31."),
    Flag("iptables-min-sync-period", flags.duration, 1.0, "Shortest time between changes of rules."),
    Flag("iptables-sync-period", flags.duration, 30.0, "How often rules are compared with the kernel's and repaired."),
    Flag("ipvs-exclude-cidrs", flags.strings, [], "CIDRs whose virtual servers are not removed, whoever made them."),
    Flag("ipvs-min-sync-period", flags.duration, 0.0, "As --iptables-min-sync-period, in the mode ipvs."),
    Flag("ipvs-scheduler", flags.string, "", "How IPVS chooses: rr (that is empty, too), wrr, lc, sh, mh, ..."),
    Flag("ipvs-strict-arp", flags.boolean, False, "Sets arp_ignore to 1 and arp_announce to 2."),
    Flag("ipvs-sync-period", flags.duration, 30.0, "As --iptables-sync-period, in the mode ipvs."),
    Flag("ipvs-tcp-timeout", flags.duration, 0.0, "Idle timeout of TCP connections through IPVS; 0 leaves it."),
    Flag("ipvs-tcpfin-timeout", flags.duration, 0.0, "Timeout of such connections after a FIN; 0 leaves it."),
    Flag("ipvs-udp-timeout", flags.duration, 0.0, "Timeout of UDP flows through IPVS; 0 leaves it."),
    Flag("masquerade-all", flags.boolean, False, "SNAT everything that is sent to cluster IPs."),
    Flag("metrics-bind-address", flags.string, "127.0.0.1:10249", "Where metrics are served; empty: nowhere."),
    Flag("nodeport-addresses", flags.strings, [], "CIDRs of the node's addresses for node ports, or primary."),
    Flag("oom-score-adj", flags.integer, -999, "The process's OOM score adjustment."),
    Flag("pod-bridge-interface", flags.string, "", "For --detect-local-mode=BridgeInterface."),
    Flag("pod-interface-name-prefix", flags.string, "", "For --detect-local-mode=InterfaceNamePrefix."),
    Flag("proxy-port-range", flags.string, "", "Ports for the mode userspace: 30000-32000, 30000+2000; empty: any."),
    Flag(
        "proxy-mode",
        flags.string,
        "",
        f"{', '.join(MODES)}; empty: {' or '.join(DEFAULT_MODES)}, what this machine can.",
    ),
    Flag("udp-timeout", flags.duration, 0.25, "How long the mode userspace remembers a silent UDP client."),
    *client_flags(burst=10),
    VERBOSITY,
    flags.ignored("config-sync-period", flags.duration, "informers need no refresh"),
    flags.ignored("feature-gates", flags.switches),
    flags.ignored("kube-api-content-type", flags.string, "JSON is spoken"),
    flags.ignored("profiling", flags.boolean),
)
FLAGS = formerflags.beside(OWN, formerflags.PROXY)

FIELDS = {
    "bindAddress": "bind-address",
    "bindAddressHardFail": "bind-address-hard-fail",
    "clientConnection.kubeconfig": "kubeconfig",
    "clientConnection.burst": "kube-api-burst",
    "clientConnection.qps": "kube-api-qps",
    "clusterCIDR": "cluster-cidr",
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
    "healthzBindAddress": "healthz-bind-address",
    "hostnameOverride": "hostname-override",
    "metricsBindAddress": "metrics-bind-address",
    "mode": "proxy-mode",
    "nodePortAddresses": "nodeport-addresses",
    "oomScoreAdj": "oom-score-adj",
    "portRange": "proxy-port-range",
    "udpIdleTimeout": "udp-timeout",
}
# The section of the mode has the words that mean the same in each mode; another mode's is read by nobody, as upstream.
_SECTIONS = {
    "iptables": {
        "iptables.localhostNodePorts": "iptables-localhost-nodeports",
        "iptables.masqueradeAll": "masquerade-all",
        "iptables.masqueradeBit": "iptables-masquerade-bit",
        "iptables.minSyncPeriod": "iptables-min-sync-period",
        "iptables.syncPeriod": "iptables-sync-period",
    },
    "ipvs": {
        "iptables.masqueradeAll": "masquerade-all",
        "iptables.masqueradeBit": "iptables-masquerade-bit",
        "ipvs.excludeCIDRs": "ipvs-exclude-cidrs",
        "ipvs.minSyncPeriod": "ipvs-min-sync-period",
        "ipvs.scheduler": "ipvs-scheduler",
        "ipvs.strictARP": "ipvs-strict-arp",
        "ipvs.syncPeriod": "ipvs-sync-period",
        "ipvs.tcpFinTimeout": "ipvs-tcpfin-timeout",
        "ipvs.tcpTimeout": "ipvs-tcp-timeout",
        "ipvs.udpTimeout": "ipvs-udp-timeout",
    },
    "nftables": {
        "nftables.masqueradeAll": "masquerade-all",
        "nftables.masqueradeBit": "iptables-masquerade-bit",
        "nftables.minSyncPeriod": "iptables-min-sync-period",
        "nftables.syncPeriod": "iptables-sync-period",
    },
}


_POINTERS = (
    "conntrack.maxPerCore",
    "conntrack.min",
    "conntrack.tcpCloseWaitTimeout",
    "conntrack.tcpEstablishedTimeout",
    "iptables.localhostNodePorts",
    "iptables.masqueradeBit",
    "nftables.masqueradeBit",
    "oomScoreAdj",
)


def configuration(mode: str) -> Kind:
    """KubeProxyConfiguration where `mode` is the file's; "" reads the section of iptables."""
    own = _SECTIONS.get(mode) or _SECTIONS["iptables"]
    foreign = sorted({path for section in _SECTIONS.values() for path in section} - own.keys())
    return Kind(
        "kubeproxy.config.k8s.io/v1alpha1",
        "KubeProxyConfiguration",
        {**FIELDS, **own},
        pointers=tuple(path for path in _POINTERS if path in FIELDS or path in own),
        without_effect=dict.fromkeys(
            (
                *foreign,
                "clientConnection.acceptContentTypes",
                "clientConnection.contentType",
                "configSyncPeriod",
                "enableProfiling",
                "featureGates",
                "logging",
                "showHiddenMetricsForVersion",
                "windowsRunAsService",
                "winkernel",
            ),
            "",
        ),
    )


OBEYED_BESIDE_A_FILE = ("config", "cleanup", "hostname-override", "master", "v")


@dataclass(frozen=True, slots=True)
class KubeProxyConfiguration:
    """What the proxy does; times in seconds, addresses (host, port), None for a server that is switched off."""

    node: str
    cluster_cidrs: tuple[str, ...]
    mode: str  # one of backends.MODES; "": whatever this machine can
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
    ipvs: IPVSOptions = field(default_factory=IPVSOptions)
    ipvs_periods: tuple[float, float] = (0.0, 30.0)  # instead of the shortest and longest between syncs
    userspace: Userspace = field(default_factory=Userspace)

    def in_mode(self, mode: str) -> KubeProxyConfiguration:
        """What holds in one of the modes: in nftables node ports are the node's first address's unless said otherwise, as upstream."""
        if mode == "ipvs":
            shortest, longest = self.ipvs_periods
            return replace(self, mode=mode, min_sync_period=shortest, sync_period=longest)
        only_primary = mode == "nftables" and not self.node_port_addresses
        return replace(self, mode=mode, node_port_addresses=("primary",) if only_primary else self.node_port_addresses)

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Flags that were given and that the mode has no use for, as upstream's had none."""
        if self.mode != "userspace":
            return ()
        given = {"--masquerade-all": self.masquerade_all, "--nodeport-addresses": bool(self.node_port_addresses)}
        return tuple(flag for flag, is_given in given.items() if is_given)

    @property
    def node_ports_on_loopback(self) -> bool:
        """Whether node ports are to answer on 127.0.0.1, for which the kernel must route that network; in iptables only."""
        if self.mode not in ("", "iptables"):
            return False
        networks = [ipaddress.ip_network(cidr) for cidr in self.node_port_addresses if cidr != "primary"]
        asked = not self.node_port_addresses or any(
            n.version == 4 and (n.prefixlen == 0 or n.network_address.is_loopback) for n in networks
        )
        return self.localhost_node_ports and asked

    def cluster_cidr(self, family: str) -> str:
        """The pods' range of a family, "" if there is none."""
        return next((c for c in self.cluster_cidrs if (":" in c) == (family == "IPv6")), "")


def with_file(values: Values, document: Any) -> Values:
    """The values that a configuration file asks for. UsageError where it cannot be used."""
    mode = document.get("mode") if isinstance(document, dict) else None
    kind = configuration(mode if isinstance(mode, str) else "")
    return configfile.merged(kind, FLAGS, values, document, OBEYED_BESIDE_A_FILE)


def kube_proxy_configuration(values: Values) -> KubeProxyConfiguration:
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
    if values["proxy-mode"] == "ipvs":
        _check_ipvs(values)
    _check_numbers(values)
    mode = values["detect-local-mode"] or "ClusterCIDR"
    prefix = values["pod-interface-name-prefix"]
    interface = {"BridgeInterface": values["pod-bridge-interface"], "InterfaceNamePrefix": prefix and f"{prefix}+"}
    if mode in interface and not interface[mode]:
        flag = "pod-bridge-interface" if mode == "BridgeInterface" else "pod-interface-name-prefix"
        raise UsageError(f"--detect-local-mode={mode} needs --{flag}")
    return KubeProxyConfiguration(
        node=(values["hostname-override"] or socket.gethostname()).strip().lower(),
        cluster_cidrs=_cluster_cidrs(values),
        mode=values["proxy-mode"],
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
        healthz=bind_address("healthz-bind-address", values["healthz-bind-address"], 10256),
        metrics=bind_address("metrics-bind-address", values["metrics-bind-address"], 10249),
        bind_hard_fail=values["bind-address-hard-fail"],
        oom_score_adj=values["oom-score-adj"],
        conntrack=_conntrack(values),
        ipvs=IPVSOptions(
            scheduler=values["ipvs-scheduler"] or IPVSOptions().scheduler,
            strict_arp=values["ipvs-strict-arp"],
            exclude_cidrs=tuple(_networks("ipvs-exclude-cidrs", values)),
            tcp_timeout=values["ipvs-tcp-timeout"],
            tcp_fin_timeout=values["ipvs-tcpfin-timeout"],
            udp_timeout=values["ipvs-udp-timeout"],
        ),
        ipvs_periods=(values["ipvs-min-sync-period"], values["ipvs-sync-period"]),
        userspace=_userspace(values),
    )


def _check_numbers(values: Values) -> None:
    """Those that hold in every mode."""
    if not -1000 <= values["oom-score-adj"] <= 1000:
        raise UsageError(f"--oom-score-adj={values['oom-score-adj']}: must be within the range [-1000, 1000]")
    for name in _NOT_NEGATIVE:
        if values[name] < 0:
            raise UsageError(f"--{name}: must be greater than or equal to 0")
    period = values["config-sync-period"]
    if period is not None and period <= 0:
        raise UsageError("--config-sync-period: must be greater than 0")


def _cluster_cidrs(values: Values) -> tuple[str, ...]:
    cidrs, text = _networks("cluster-cidr", values), ",".join(values["cluster-cidr"])
    if len(cidrs) > 2:
        example = "10.100.0.0/16,fde4:8dba:82e1::/48"
        raise UsageError(f"--cluster-cidr={text}: only one CIDR allowed or a valid DualStack CIDR (e.g. {example})")
    if len(cidrs) == 2 and len({":" in cidr for cidr in cidrs}) < 2:
        raise UsageError(
            f"--cluster-cidr={text}: must be a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)"
        )
    return tuple(cidrs)


def _check_ipvs(values: Values) -> None:
    """Read in this mode only, as upstream. Which schedulers there are says the kernel."""
    if values["ipvs-sync-period"] <= 0:
        raise UsageError("--ipvs-sync-period: must be greater than 0")
    if not 0 <= values["ipvs-min-sync-period"] <= values["ipvs-sync-period"]:
        raise UsageError("--ipvs-min-sync-period: must be between 0 and --ipvs-sync-period")
    for name in ("ipvs-tcp-timeout", "ipvs-tcpfin-timeout", "ipvs-udp-timeout"):
        if not 0 <= values[name] <= _LONGEST_TIMEOUT:
            raise UsageError(f"--{name}: must be between 0 and {_LONGEST_TIMEOUT} s")
    if len(values["ipvs-scheduler"].encode()) > _LONGEST_SCHEDULER:
        raise UsageError(f"--ipvs-scheduler={values['ipvs-scheduler']}: no scheduler has a name that long")


def _userspace(values: Values) -> Userspace:
    """Of any mode, as upstream; the others do nothing with them."""
    text = values["bind-address"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f"--bind-address={text}: must be an IP address") from None
    if values["proxy-mode"] == "userspace" and address.is_loopback:
        raise UsageError(f"--bind-address={text}: cannot proxy on localhost")
    if values["udp-timeout"] <= 0:
        raise UsageError("--udp-timeout: must be greater than 0")
    return Userspace(
        bind_address="" if address.is_unspecified else str(address),
        ports=port_range(values["proxy-port-range"]),
        udp_timeout=values["udp-timeout"],
    )


def port_range(text: str) -> PortRange | None:
    """FIRST-LAST, FIRST+MORE or one port; None for "" and what begins with 0 (upstream: apimachinery's PortRange). UsageError."""
    given = text.strip()
    first, sign, rest = next((parts for parts in map(given.partition, "-+") if parts[1]), (given, "", ""))
    numbers = [word for word in ((first, rest) if sign else (first,)) if given]
    if not all(word.isascii() and word.isdigit() and len(word) <= 5 for word in numbers):
        raise UsageError(f"--proxy-port-range={text}: must be FIRST-LAST, FIRST+MORE or one port")
    if not numbers:
        return None
    low = int(first)
    high = low + int(rest) if sign == "+" else int(rest) if sign else low
    if high > LAST_PORT:
        raise UsageError(f"--proxy-port-range={text}: the port range cannot be greater than {LAST_PORT}")
    if high < low:
        raise UsageError(f"--proxy-port-range={text}: end port cannot be less than start port")
    return PortRange(low, high - low + 1) if low else None


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
