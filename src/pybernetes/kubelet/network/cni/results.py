"""What plugins answer, in every version of CNI, and one version as another (upstream: pkg/types/020, 040, 100)."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, replace
from typing import Any

from .configuration import VERSIONS, Config, quoted

WITH_INTERFACES = VERSIONS[2:]  # 0.3.0 and later
CURRENT = VERSIONS[-2:]  # of which interfaces tell more, and addresses no family
MAX_ENTRIES = 1024  # of each list
# Of an interface, of a route, of dns: the field, its type and the first version that has it.
INTERFACE_FIELDS = (
    ("mac", str, False),
    ("mtu", int, True),
    ("sandbox", str, False),
    ("socketPath", str, True),
    ("pciID", str, True),
)
ROUTE_NUMBERS = ("mtu", "advmss", "priority", "table", "scope")
DNS_FIELDS = (("nameservers", list), ("domain", str), ("search", list), ("options", list))


class ResultError(ValueError):
    """An answer that is none; one line."""


@dataclass(frozen=True, slots=True)
class Address:
    """With its prefix; `interface` is an index into the result's interfaces, None where it tells of none."""

    address: str
    gateway: str = ""
    interface: int | None = None

    @property
    def ip(self) -> str:
        return self.address.partition("/")[0]

    @property
    def family(self) -> str:
        return "6" if ":" in self.address else "4"


@dataclass(frozen=True, slots=True)
class Result:
    """A result in a version of CNI."""

    version: str
    interfaces: tuple[Config, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Config, ...] = ()
    dns: Config | None = None

    def document(self) -> Config:
        """As its version has it."""
        document: Config = {"cniVersion": self.version} | ({"dns": self.dns} if self.dns else {})
        if self.version not in WITH_INTERFACES:
            return document | self._by_family()
        if self.interfaces:
            document["interfaces"] = [self._interface(interface) for interface in self.interfaces]
        if self.addresses:
            document["ips"] = [self._address(address) for address in self.addresses]
        if self.routes:
            document["routes"] = list(self.routes)
        return document

    def _interface(self, interface: Config) -> Config:
        later = {name for name, _, current in INTERFACE_FIELDS if current and self.version not in CURRENT}
        return {name: value for name, value in interface.items() if name not in later}

    def _address(self, address: Address) -> Config:
        fields: Config = {"address": address.address}
        if self.version not in CURRENT:
            fields["version"] = address.family
        if address.gateway:
            fields["gateway"] = address.gateway
        return fields | ({"interface": address.interface} if address.interface is not None else {})

    def _by_family(self) -> Config:
        """One address of each family, as versions before 0.3.0 have them."""
        document: Config = {}
        for family in ("4", "6"):
            first = next((address for address in self.addresses if address.family == family), None)
            if first is None:
                continue
            routes = [
                {name: route[name] for name in ("dst", "gw") if name in route}
                for route in self.routes
                if (":" in route["dst"]) == (family == "6")
            ]
            document[f"ip{family}"] = (
                {"ip": first.address}
                | ({"gateway": first.gateway} if first.gateway else {})
                | ({"routes": routes} if routes else {})
            )
        return document


def parse(data: bytes, config_version: str) -> Result:
    """A plugin's answer; without a version it is in the configuration's. ResultError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"failed to unmarshal raw result: {error}") from None
    return read(document, config_version)


def read(document: Any, config_version: str) -> Result:
    """As `parse`, of a decoded document."""
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise ResultError("failed to unmarshal raw result: it is no object")
    given = document.get("cniVersion")
    version = given if isinstance(given, str) and given else config_version or "0.1.0"
    if version not in VERSIONS:
        raise ResultError(f"unsupported CNI result version {quoted(version)}")
    dns = _dns(document.get("dns"))
    if version not in WITH_INTERFACES:
        return _read_by_family(document, version, dns)
    interfaces = tuple(_read_interface(entry) for entry in _entries(document, "interfaces"))
    addresses = tuple(_read_address(entry, "address") for entry in _entries(document, "ips"))
    return Result(version, interfaces, addresses, tuple(_read_route(r) for r in _entries(document, "routes")), dns)


def _read_by_family(document: Config, version: str, dns: Config | None) -> Result:
    addresses: list[Address] = []
    routes: list[Config] = []
    for name in ("ip4", "ip6"):
        entry = document.get(name)
        if entry is not None:
            addresses.append(_read_address(entry, "ip"))
            routes += (_read_route(route) for route in _entries(entry, "routes"))
    return Result(version, (), tuple(addresses), tuple(routes), dns)


def convert(result: Result, version: str) -> Result:
    """The same in another version; what that cannot tell is left out. ResultError."""
    version = version or "0.1.0"
    if version == result.version:
        return result
    if version not in VERSIONS:
        raise ResultError(f"no converter for CNI result version {result.version} to {version}")
    if version not in WITH_INTERFACES and result.version in WITH_INTERFACES and not result.addresses:
        raise ResultError("cannot convert: no valid IP addresses")
    # What one version does not have is lost on the way through it, not only in its document.
    return read(replace(result, version=version).document(), version)


def pod_addresses(result: Result, interface: str) -> tuple[str, ...]:
    """Those of an interface in the pod, or of no interface at all; IPv4's first, as the kubelet lists them."""

    def inside(address: Address) -> bool:
        if address.interface is None or not 0 <= address.interface < len(result.interfaces):
            return True
        entry = result.interfaces[address.interface]
        return entry["name"] == interface and bool(entry.get("sandbox"))

    addresses = [address for address in result.addresses if inside(address)]
    return tuple(dict.fromkeys(address.ip for address in sorted(addresses, key=lambda address: address.family)))


def _entries(document: Any, name: str) -> list[Any]:
    entries = document.get(name) if isinstance(document, dict) else None
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise ResultError(f"{name} is no list")
    if len(entries) > MAX_ENTRIES:
        raise ResultError(f"{name} has more than {MAX_ENTRIES} entries")
    return entries


def _field(entry: Any, name: str, kind: type, what: str) -> Any:
    """None where it is not there."""
    if not isinstance(entry, dict):
        raise ResultError(f"{what} is no object")
    value = entry.get(name)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise ResultError(f"{what}: {name} is of another type")
    return value


def _read_interface(entry: Any) -> Config:
    name = _field(entry, "name", str, "interface")
    fields = {key: _field(entry, key, kind, "interface") for key, kind, _ in INTERFACE_FIELDS}
    return {"name": name or ""} | {key: value for key, value in fields.items() if value}


def _read_address(entry: Any, name: str) -> Address:
    address, gateway = _field(entry, name, str, "address"), _field(entry, "gateway", str, "address")
    return Address(_cidr(address or ""), _ip(gateway or ""), _field(entry, "interface", int, "address"))


def _read_route(entry: Any) -> Config:
    route: Config = {"dst": _cidr(_field(entry, "dst", str, "route") or "")}
    gateway = _ip(_field(entry, "gw", str, "route") or "")
    numbers = {name: _field(entry, name, int, "route") for name in ROUTE_NUMBERS}
    return route | ({"gw": gateway} if gateway else {}) | {name: n for name, n in numbers.items() if n is not None}


def _dns(entry: Any) -> Config | None:
    if entry is None:
        return None
    fields = {name: _field(entry, name, kind, "dns") for name, kind in DNS_FIELDS}
    return {name: value for name, value in fields.items() if value} or None


def _cidr(text: str) -> str:
    address, _, prefix = text.partition("/")
    try:
        if not (prefix.isascii() and prefix.isdigit()):
            raise ValueError(text)
        return f"{ipaddress.ip_address(address)}/{ipaddress.ip_interface(text).network.prefixlen}"
    except ValueError:
        raise ResultError(f"invalid CIDR address: {text}") from None


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise ResultError(f"invalid IP address: {text}") from None
