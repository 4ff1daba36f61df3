"""flanneld's flags and FLANNELD_* environment (upstream: main.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component import flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values

from .annotations import DEFAULT_PREFIX
from .etcdregistry import EtcdConfig
from .interface import Selection

ENVIRONMENT_PREFIX = "FLANNELD_"
DAY_MINUTES = 24 * 60  # how long a lease of etcd lasts


def repeated(text: str) -> list[str]:
    """One of several: the flag is given once for each. Patterns may hold commas."""
    return [text]


DEFAULT_ENDPOINTS = ["http://127.0.0.1:4001", "http://127.0.0.1:2379"]
FLAGS = (
    Flag("etcd-api", flags.string, "v2", "v2, as flannel to v0.11, or v3, as today's (ours).", "etcd"),
    Flag("etcd-cafile", flags.string, "", "Who signs etcd's certificates.", "etcd"),
    Flag("etcd-certfile", flags.string, "", "The certificate by which etcd knows flanneld.", "etcd"),
    Flag(
        "etcd-endpoints", flags.strings, DEFAULT_ENDPOINTS, "etcd's servers; for the v2 API with --enable-v2.", "etcd"
    ),
    Flag("etcd-keyfile", flags.string, "", "The certificate's key.", "etcd"),
    Flag("etcd-password", flags.string, "", "Of --etcd-username.", "etcd"),
    Flag("etcd-prefix", flags.string, "/coreos.com/network", "Above config and subnets.", "etcd"),
    Flag("etcd-username", flags.string, "", "Who flanneld is to etcd.", "etcd"),
    Flag("subnet-lease-renew-margin", flags.integer, 60, "Minutes before its end in which a lease is renewed.", "etcd"),
    Flag("healthz-ip", flags.string, "0.0.0.0", "Where health is served."),
    Flag("healthz-port", flags.integer, 0, "The port for health (/healthz, /readyz); 0: nowhere."),
    Flag("iface", repeated, [], "Interface (name or IP) to other hosts; repeated: the first that is there."),
    Flag("iface-can-reach", flags.string, "", "The interface by which packets to this address leave."),
    Flag("iface-regex", repeated, [], "Pattern of the interface's IP or name; tried after --iface. May be repeated."),
    Flag("ip-blackhole-route", flags.boolean, False, "Packets to pods of this host that are not there are dropped."),
    Flag("ip-masq", flags.boolean, False, "Masquerade what leaves the network of pods."),
    Flag("ip-masq-fully-random-disable", flags.boolean, False, "MASQUERADE without --random-fully."),
    Flag("iptables-forward-rules", flags.boolean, True, "Accept pods' packets in the FORWARD chain."),
    Flag("iptables-resync", flags.integer, 5, "Seconds between looks at the iptables rules."),
    Flag("kube-annotation-prefix", flags.string, DEFAULT_PREFIX, "Prefix of the nodes' annotations."),
    Flag("kube-api-url", flags.string, "", "The API server's address, if it is not the kubeconfig's."),
    Flag("kube-subnet-mgr", flags.boolean, False, "Leases through the Kubernetes API instead of etcd."),
    Flag("kubeconfig-file", flags.string, "", "How to reach the API server; in a pod the service account is enough."),
    Flag("net-config-path", flags.string, "/etc/kube-flannel/net-conf.json", "The network's configuration."),
    Flag("public-ip", flags.string, "", "The IP by which other hosts reach this one."),
    Flag("public-ipv6", flags.string, "", "The IPv6 address by which other hosts reach this one."),
    Flag("set-node-network-unavailable", flags.boolean, True, "Set NetworkUnavailable to False when ready."),
    Flag("subnet-file", flags.string, "/run/flannel/subnet.env", "Where the subnet and MTU are written."),
    Flag("version", flags.boolean, False, "Show version."),
    VERBOSITY,
    flags.ignored("log-backtrace-at", flags.string),
    flags.ignored("vmodule", flags.string),
)


@dataclass(frozen=True, slots=True)
class FlanneldOptions:
    """What flanneld does; times in seconds, `healthz` (host, port), None where it is switched off."""

    net_config: Path
    annotation_prefix: str
    interface: Selection
    subnet_file: Path
    ip_masq: bool
    random_fully: bool
    forward_rules: bool
    blackhole_route: bool
    resync_seconds: int
    tell_available: bool
    healthz: tuple[str, int] | None
    etcd_api: str
    etcd: EtcdConfig | None  # None: leases through the Kubernetes API
    renew_margin: float


def command_line(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The arguments with what the environment says of flags that are not among them; one dash is as good as two, as Go's are."""
    given = [f"-{a}" if a.startswith("-") and not a.startswith("--") and a != "-h" else a for a in arguments]
    names = {a[2:].partition("=")[0] for a in given if a.startswith("--")}
    told = [(flag.name, environment.get(variable(flag.name), "")) for flag in FLAGS if flag.name not in names]
    return [*(f"--{name}={value}" for name, value in told if value), *given]


def variable(flag: str) -> str:
    """FLANNELD_IP_MASQ for ip-masq."""
    return ENVIRONMENT_PREFIX + flag.upper().replace("-", "_")


def flanneld_options(values: Values) -> FlanneldOptions:
    """Checked values. UsageError with the flag's name."""
    if not 0 < values["subnet-lease-renew-margin"] < DAY_MINUTES:
        raise UsageError("Invalid subnet-lease-renew-margin option, out of acceptable range")
    if values["iptables-resync"] <= 0:
        raise UsageError(f"--iptables-resync={values['iptables-resync']}: must be greater than 0")
    if values["etcd-api"] not in ("v2", "v3"):
        raise UsageError(f"--etcd-api={values['etcd-api']}: it is v2 or v3")
    port = values["healthz-port"]
    if port > 65535:
        raise UsageError(f"--healthz-port={port}: there are ports to 65535")
    return FlanneldOptions(
        net_config=Path(values["net-config-path"]),
        annotation_prefix=values["kube-annotation-prefix"],
        interface=Selection(
            tuple(values["iface"]),
            tuple(values["iface-regex"]),
            values["iface-can-reach"],
            values["public-ip"],
            values["public-ipv6"],
        ),
        subnet_file=Path(values["subnet-file"]),
        ip_masq=values["ip-masq"],
        random_fully=not values["ip-masq-fully-random-disable"],
        forward_rules=values["iptables-forward-rules"],
        blackhole_route=values["ip-blackhole-route"],
        resync_seconds=values["iptables-resync"],
        tell_available=values["set-node-network-unavailable"],
        healthz=(values["healthz-ip"], port) if port > 0 else None,
        etcd_api=values["etcd-api"],
        etcd=None if values["kube-subnet-mgr"] else _etcd(values),
        renew_margin=values["subnet-lease-renew-margin"] * 60.0,
    )


def _etcd(values: Values) -> EtcdConfig:
    return EtcdConfig(
        endpoints=tuple(values["etcd-endpoints"]),
        prefix=values["etcd-prefix"],
        ca_file=values["etcd-cafile"],
        certificate_file=values["etcd-certfile"],
        key_file=values["etcd-keyfile"],
        username=values["etcd-username"],
        password=values["etcd-password"],
    )
