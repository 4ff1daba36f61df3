"""net-conf.json (upstream: pkg/subnet/config.go, and the Backend of pkg/backend/vxlan/vxlan.go).

Keys are matched as Go's encoding/json does, whatever their case; keys that nobody knows are left alone.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_TYPE = "udp"  # of a configuration without Backend
DEFAULT_VNI = 1
MAX_VNI, MAX_PORT = (1 << 24) - 1, (1 << 16) - 1
MAX_MTU = 65535
NOWHERE = ipaddress.IPv4Network("0.0.0.0/0")  # upstream's zero value: no Network was given


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigError(ValueError):
    """A configuration that cannot be used; one line that says where."""


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """`type` in lower case; the rest is vxlan's. 0 for a port is the kernel's, for an MTU that of the interface."""

    type: str = DEFAULT_TYPE
    vni: int = DEFAULT_VNI
    port: int = 0
    mtu: int = 0
    gbp: bool = False
    learning: bool = False
    direct_routing: bool = False


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The network of all pods; NOWHERE where it is not said.

    Length and bounds of subnets are for hosts that take theirs (see `subnets`): in a cluster the controller manager allots them.
    """

    network: ipaddress.IPv4Network = NOWHERE
    backend: BackendConfig = BackendConfig()
    subnet_len: int = 0
    subnet_min: ipaddress.IPv4Address | None = None
    subnet_max: ipaddress.IPv4Address | None = None
    ipv6_network: ipaddress.IPv6Network | None = None  # None: IPv6 is not enabled


def parse(text: str) -> NetworkConfig:
    """ConfigError for what is no JSON, has values of wrong types, or asks for what is not there: IPv6 alone, nftables."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(error)) from None
    if not isinstance(document, dict):
        raise ConfigError(f"json: cannot unmarshal {_kind(document)} into Go value of type subnet.Config")
    fields = _Fields(document, "Config")
    if not fields.boolean("EnableIPv4", True):
        raise ConfigError("EnableIPv4 false: there is IPv4, or IPv4 and IPv6")
    if fields.boolean("EnableNFTables", False):
        raise ConfigError("EnableNFTables: there is iptables only")
    ipv6 = fields.boolean("EnableIPv6", False)
    return NetworkConfig(
        ipv6_network=_ipv6_network(fields.text("IPv6Network")) if ipv6 else None,
        network=_network(fields.text("Network")),
        backend=_backend(fields),
        subnet_len=fields.integer("SubnetLen", 32),
        subnet_min=_address(fields.text("SubnetMin")),
        subnet_max=_address(fields.text("SubnetMax")),
    )


def contains(network: Network, subnet: Network) -> bool:
    """Whether the subnet of a node lies in the network; in one that was not given lies none."""
    if network.prefixlen == 0 or network.version != subnet.version:
        return False
    return network.prefixlen <= subnet.prefixlen and subnet.network_address in network


def _backend(fields: _Fields) -> BackendConfig:
    value = fields.value("Backend")
    if value is None:
        return BackendConfig()
    if not isinstance(value, dict):
        raise ConfigError(
            f"error decoding Backend property of config: json: cannot unmarshal {_kind(value)} into Go value of type struct {{ Type string }}"
        )
    backend = _Fields(value, "VXLANConfig")
    return BackendConfig(
        type=backend.text("Type").lower(),
        vni=backend.integer("VNI", MAX_VNI, DEFAULT_VNI),
        port=backend.integer("Port", MAX_PORT),
        mtu=backend.integer("MTU", MAX_MTU),
        gbp=backend.boolean("GBP", False),
        learning=backend.boolean("Learning", False),
        direct_routing=backend.boolean("DirectRouting", False),
    )


class _Fields:
    """An object's fields, by name in any case; null is as if it were not there."""

    def __init__(self, values: Mapping[str, Any], struct: str) -> None:
        self._values = {name.casefold(): value for name, value in values.items()}
        self._struct = struct

    def value(self, name: str) -> Any:
        return self._values.get(name.casefold())

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str | None):
            raise self._wrong(name, value, "string")
        return value or ""

    def boolean(self, name: str, default: bool) -> bool:
        value = self.value(name)
        if not isinstance(value, bool | None):
            raise self._wrong(name, value, "bool")
        return default if value is None else value

    def integer(self, name: str, most: int, default: int = 0) -> int:
        value = self.value(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, value, "int")
        if not 0 <= value <= most:
            raise ConfigError(f"{name}: {value} is not within 0 and {most}")
        return value

    def _wrong(self, name: str, value: object, type: str) -> ConfigError:
        return ConfigError(
            f"json: cannot unmarshal {_kind(value)} into Go struct field {self._struct}.{name} of type {type}"
        )


def _kind(value: object) -> str:
    """JSON's name of a value, as Go says it."""
    names = {bool: "bool", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "number")


def _network(text: str) -> ipaddress.IPv4Network:
    if not text:
        return NOWHERE
    try:
        if "/" not in text:
            raise ValueError
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise ConfigError(f"Network: invalid CIDR address: {text}") from None


def _ipv6_network(text: str) -> ipaddress.IPv6Network:
    try:
        if "/" not in text:
            raise ValueError
        return ipaddress.IPv6Network(text, strict=False)
    except ValueError:
        raise ConfigError(f"IPv6Network: invalid CIDR address: {text}") from None


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text) if text else None
    except ValueError:
        raise ConfigError(f"invalid IP address format: {text!r}") from None
