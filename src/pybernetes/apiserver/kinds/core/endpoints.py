"""Endpoints of v1 (upstream: core validation, ValidateEndpoints)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import dns_label, dns_subdomain, enum, not_special_ip, port_number, qualified_name, valid_ip
from .containers import PROTOCOLS

_LISTS = ("addresses", "notReadyAddresses")
SHOWN = 3


def default(endpoints: Object) -> None:
    """Ports are TCP."""
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            port["protocol"] = port.get("protocol") or "TCP"


def validate(endpoints: Object) -> Errors:
    """On creation."""
    return _subsets(endpoints, ())


def validate_update(new: Object, old: Object) -> Errors:
    """Addresses that were there already may be of an older form."""
    subsets = old.get("subsets") or ()
    existing = {a.get("ip") or "" for subset in subsets for name in _LISTS for a in subset.get(name) or ()}
    return _subsets(new, existing)


def _subsets(endpoints: Object, existing: Collection[str]) -> Errors:
    errors: Errors = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        at = Path("subsets") / index
        if not any(subset.get(name) for name in _LISTS):
            errors.append(field.required(at, "must specify `addresses` or `notReadyAddresses`"))
        for name in _LISTS:
            for number, address in enumerate(subset.get(name) or ()):
                errors += _address(at / name / number, address, existing)
        ports = subset.get("ports") or ()
        for number, port in enumerate(ports):
            errors += _port(at / "ports" / number, port, len(ports) > 1)
    return errors


def _address(path: Path, address: Object, existing: Collection[str]) -> Errors:
    text = address.get("ip") or ""
    errors = valid_ip(path / "ip", text, existing)
    if name := address.get("hostname"):
        errors += dns_label(path / "hostname", name)
    if (node := address.get("nodeName")) is not None:
        errors += dns_subdomain(path / "nodeName", node)
    return errors + not_special_ip(path / "ip", text)


def _port(path: Path, port: Object, name_needed: bool) -> Errors:
    name = port.get("name") or ""
    errors: Errors = []
    if name:
        errors += dns_label(path / "name", name)
    elif name_needed:
        errors.append(field.required(path / "name"))
    errors += port_number(path / "port", port.get("port") or 0)
    errors += enum(path / "protocol", port.get("protocol"), PROTOCOLS)
    if (protocol := port.get("appProtocol")) is not None:
        errors += qualified_name(path / "appProtocol", protocol)
    return errors


def _joined(endpoints: Object) -> str:
    """The first few as ip:port, and how many more there are."""
    subsets = endpoints.get("subsets") or ()
    texts: list[str] = []
    for subset in subsets:
        hosts = [address.get("ip") or "" for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        if not ports:
            texts += hosts
        for port in ports:
            texts += [f"[{host}]:{port['port']}" if ":" in host else f"{host}:{port['port']}" for host in hosts]
    if not subsets:
        return "<none>"
    more = f" + {len(texts) - SHOWN} more..." if len(texts) > SHOWN else ""
    return ",".join(texts[:SHOWN]) + more


def row(endpoints: Object, now: datetime) -> list[Any]:
    """Name, Endpoints, Age."""
    return [endpoints["metadata"]["name"], _joined(endpoints), object_age(endpoints, now)]


RESOURCE = Resource(
    group="",
    version="v1",
    name="endpoints",
    kind="Endpoints",
    schema="io.k8s.api.core.v1.Endpoints",
    meta_again=1,
    short_names=("ep",),
    generation=False,
    allow_create_on_update=True,
    default=default,
    validate=validate,
    deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    validate_update=validate_update,
    columns=(NAME, Column("Endpoints"), AGE),
    row=row,
)
