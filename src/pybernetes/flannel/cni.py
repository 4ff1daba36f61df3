"""The CNI plugin "flannel": what another plugin is to be told for flannel's subnet.env (upstream: flannel-io/cni-plugin; CNI's SPEC.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pybernetes.net.subnetfile import SubnetFile

DEFAULT_SUBNET_FILE = "/run/flannel/subnet.env"
DEFAULT_DATA_DIR = "/var/lib/cni/flannel"
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
# CNI's codes of errors.
INCOMPATIBLE_VERSION, INVALID_ENVIRONMENT, DECODING_FAILURE, INVALID_CONFIG, INTERNAL = 1, 4, 6, 7, 999
# Which variables a command must have.
REQUIRED = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"),
}
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")  # it becomes a file's name

Config = dict[str, Any]


class CNIError(Exception):
    """What the runtime is told: CNI's code and a text."""

    def __init__(self, text: str, code: int = INTERNAL, details: str = "") -> None:
        super().__init__(text)
        self.code, self.details = code, details

    def document(self) -> str:
        """As plugins write it to their output."""
        fields = {"code": self.code, "msg": str(self)}
        return json.dumps(fields | ({"details": self.details} if self.details else {}), indent=4)


def check_environment(environment: Mapping[str, str]) -> str:
    """The command. CNIError."""
    command = environment.get("CNI_COMMAND", "")
    if command and command != "VERSION" and command not in REQUIRED:
        raise CNIError(f"unknown CNI_COMMAND: {command}", INVALID_ENVIRONMENT)
    missing = [name for name in REQUIRED.get(command, ()) if not environment.get(name)]
    if missing or not command:
        raise CNIError(f"required env variables [{','.join(missing or ['CNI_COMMAND'])}] missing", INVALID_ENVIRONMENT)
    identity = environment.get("CNI_CONTAINERID", "")
    if command in REQUIRED and not _CONTAINER_ID.fullmatch(identity):
        raise CNIError("invalid characters in containerID", INVALID_ENVIRONMENT, identity)
    return command


def parse(data: bytes) -> Config:
    """CNIError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CNIError(f"failed to load netconf: {error}", DECODING_FAILURE) from None
    if not isinstance(document, dict):
        raise CNIError("failed to load netconf: it is no object", DECODING_FAILURE)
    if document.get("cniVersion", "0.1.0") not in VERSIONS:
        text = f'config is "{document["cniVersion"]}", plugin supports {list(VERSIONS)}'
        raise CNIError("incompatible CNI versions", INCOMPATIBLE_VERSION, text)
    for name, type in (("delegate", dict), ("ipam", dict), ("subnetFile", str), ("dataDir", str)):
        if not isinstance(document.get(name), type | None):
            raise CNIError(f"failed to load netconf: {name} is of another type", DECODING_FAILURE)
    return document


def delegated(config: Config, subnets: SubnetFile) -> Config:
    """The configuration of the plugin that does the work: bridge, unless `delegate` says another. CNIError."""
    delegate: Config = dict(config.get("delegate") or {})
    if "type" in delegate and not isinstance(delegate["type"], str):
        raise CNIError("'delegate' dictionary, if present, must have (string) 'type' field")
    for name in ("name", "ipam"):
        if name in delegate:
            raise CNIError(f"'delegate' dictionary must not have '{name}' field, it'll be set by flannel")
    if config.get("runtimeConfig") is not None:
        delegate["runtimeConfig"] = config["runtimeConfig"]
    delegate["name"] = config.get("name", "")
    delegate.setdefault("type", "bridge")
    delegate.setdefault("ipMasq", not subnets.ip_masq)  # what flanneld does nobody else must
    delegate.setdefault("mtu", subnets.mtu)
    if delegate["type"] == "bridge":
        delegate.setdefault("isGateway", True)
    if config.get("cniVersion"):
        delegate["cniVersion"] = config["cniVersion"]
    delegate["ipam"] = _ipam(dict(config.get("ipam") or {}), subnets)
    return delegate


def _ipam(ipam: Config, subnets: SubnetFile) -> Config:
    """A range of each family, and a route to all pods."""
    ipam.setdefault("type", "host-local")
    ranges = [one.network for one in (subnets.subnet, subnets.ipv6_subnet) if one is not None]
    ipam["ranges"] = [[{"subnet": str(network)}] for network in ranges]
    networks = [one for one in (subnets.network, subnets.ipv6_network) if one is not None]
    routes = ipam.get("routes") or []
    if not isinstance(routes, list):
        raise CNIError("failed to assemble Delegate IPAM: failed to parse ipam.routes", INVALID_CONFIG)
    ipam["routes"] = [*routes, *({"dst": str(network)} for network in networks)]
    return ipam


def with_gateways(result: Any) -> Any:
    """A result in which each route has the gateway that the bridge plugin gave it: its own CHECK does not find routes without."""
    if not isinstance(result, dict):
        return result
    gateways = [address["gateway"] for address in result.get("ips") or [] if address.get("gateway")]

    def completed(route: Config) -> Config:
        same_family = (one for one in gateways if (":" in one) == (":" in str(route.get("dst"))))
        gateway = route.get("gw") or next(same_family, "")
        return route | ({"gw": gateway} if gateway else {})

    return result | {"routes": [completed(route) for route in result.get("routes") or []]}
