"""EndpointSlice of discovery.k8s.io/v1 (upstream: pkg/apis/discovery, pkg/registry/discovery/endpointslice)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import (
    dns_label,
    dns_subdomain,
    immutable,
    label_map,
    not_special_ip,
    parse_ip,
    port_number,
    qualified_name,
    valid_ip,
)

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MAX_ENDPOINTS, MAX_ADDRESSES, MAX_PORTS, MAX_TOPOLOGY, MAX_HINTS = 1000, 100, 20_000, 16, 8
SHOWN = 3  # ports and endpoints in a table


def default(slice_: Object) -> None:
    """Ports: TCP, without a name."""
    for port in slice_.get("ports") or ():
        if port.get("name") is None:
            port["name"] = ""
        if port.get("protocol") is None:
            port["protocol"] = "TCP"


def validate(slice_: Object) -> Errors:
    """ValidateEndpointSlice."""
    kind, at = slice_.get("addressType") or "", Path("addressType")
    errors: Errors = []
    if not kind:
        errors.append(field.required(at))
    elif kind not in ADDRESS_TYPES:
        errors.append(field.not_supported(at, kind, ADDRESS_TYPES))
    endpoints = slice_.get("endpoints") or ()
    if len(endpoints) > MAX_ENDPOINTS:
        errors.append(field.too_many(Path("endpoints"), len(endpoints), MAX_ENDPOINTS))
    else:
        for index, endpoint in enumerate(endpoints):
            errors += _endpoint(Path("endpoints") / index, endpoint, kind)
    return errors + _ports(Path("ports"), slice_.get("ports") or ())


def _endpoint(path: Path, endpoint: Mapping[str, Any], kind: str) -> Errors:
    addresses, at = endpoint.get("addresses") or (), path / "addresses"
    errors: Errors = []
    if not addresses:
        errors.append(field.required(at, "must contain at least 1 address"))
    elif len(addresses) > MAX_ADDRESSES:
        errors.append(field.too_many(at, len(addresses), MAX_ADDRESSES))
    for index, address in enumerate(addresses):
        errors += _address(at / index, address, kind)
    if (node := endpoint.get("nodeName")) is not None:
        errors += dns_subdomain(path / "nodeName", node)
    topology, at = endpoint.get("deprecatedTopology") or {}, path / "deprecatedTopology"
    if len(topology) > MAX_TOPOLOGY:
        errors.append(field.too_many(at, len(topology), MAX_TOPOLOGY))
    errors += label_map(at, topology)
    if (name := endpoint.get("hostname")) is not None:
        errors += dns_label(path / "hostname", name)
    if hints := endpoint.get("hints"):
        errors += _hints(path / "hints", hints)
    return errors


def _address(path: Path, address: str, kind: str) -> Errors:
    if kind == "FQDN":
        errors = dns_subdomain(path, address.removesuffix("."))
        if not errors and "." not in address.strip("."):
            errors.append(
                field.invalid(path, address, "should be a domain with at least two segments separated by dots")
            )
        return errors
    if kind not in ADDRESS_TYPES:
        return []
    errors = valid_ip(path, address)
    parsed = parse_ip(address)
    if parsed is None:
        return errors
    if f"IPv{parsed.version}" != kind:
        errors.append(field.invalid(path, address, f"must be a valid {kind} address"))
    return errors + not_special_ip(path, address)


def _hints(path: Path, hints: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    for name, check in (("forZones", qualified_name), ("forNodes", dns_subdomain)):
        items, at = hints.get(name) or (), path / name
        if len(items) > MAX_HINTS:
            errors.append(field.too_many(at, len(items), MAX_HINTS))
            continue
        seen: set[str] = set()
        for index, item in enumerate(items):
            value = item.get("name") or ""
            if value in seen:
                errors.append(field.duplicate(at / index / "name", value))
            seen.add(value)
            errors += check(at / index / "name", value)
    return errors


def _ports(path: Path, ports: Sequence[Mapping[str, Any]]) -> Errors:
    if len(ports) > MAX_PORTS:
        return [field.too_many(path, len(ports), MAX_PORTS)]
    errors: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = path / index, port.get("name") or ""
        if name:
            errors += dns_label(at / "name", name)
        if name in names:
            errors.append(field.duplicate(at / "name", name))
        names.add(name)
        if (number := port.get("port")) is not None:
            errors += port_number(at / "port", number)
        if port.get("protocol") not in PROTOCOLS:
            errors.append(field.not_supported(at / "protocol", port.get("protocol"), PROTOCOLS))
        if (protocol := port.get("appProtocol")) is not None:
            errors += qualified_name(at / "appProtocol", protocol)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The type of addresses stays."""
    return validate(new) + immutable(Path("addressType"), new.get("addressType"), old.get("addressType"))


def _some(texts: Sequence[str]) -> str:
    shown = ",".join(texts[:SHOWN])
    if len(texts) > SHOWN:
        return f"{shown} + {len(texts) - SHOWN} more..."
    return shown or "<unset>"


def _port(port: Mapping[str, Any]) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return "*" if port.get("name") is None else str(port["name"])


def row(slice_: Object, now: datetime) -> list[Any]:
    """Name, AddressType, Ports, Endpoints, Age."""
    addresses = [a for endpoint in slice_.get("endpoints") or () for a in endpoint.get("addresses") or ()]
    return [
        slice_["metadata"]["name"],
        slice_.get("addressType") or "",
        _some([_port(port) for port in slice_.get("ports") or ()]),
        _some(addresses),
        object_age(slice_, now),
    ]


RESOURCE = Resource(
    group="discovery.k8s.io",
    version="v1",
    name="endpointslices",
    kind="EndpointSlice",
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    default=default,
    validate=validate,
    validate_update=validate_update,
    columns=(
        NAME,
        Column("AddressType", description="Type of the addresses"),
        Column("Ports", description="Ports that each endpoint exposes"),
        Column("Endpoints", description="Addresses of the endpoints"),
        AGE,
    ),
    row=row,
)
