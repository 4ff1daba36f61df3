"""NetworkPolicy of networking.k8s.io/v1 (upstream: pkg/apis/networking, pkg/registry/networking/networkpolicy)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, format_selector, object_age
from ..validation import each, label_selector, port_name_errors, port_number, valid_cidr

SPEC = Path("spec")
PROTOCOLS = ("TCP", "UDP", "SCTP")
TYPES = ("Egress", "Ingress")
_RULES = (("ingress", "from"), ("egress", "to"))


def default(policy: Object) -> None:
    """TCP; and for incoming traffic, and for outgoing if there are rules for it."""
    spec = policy.setdefault("spec", {})
    for name, _ in _RULES:
        for rule in spec.get(name) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def validate(policy: Object) -> Errors:
    """ValidateNetworkPolicySpec."""
    spec = policy.get("spec") or {}
    errors = label_selector(SPEC / "podSelector", spec.get("podSelector"))
    for name, peers in _RULES:
        for index, rule in enumerate(spec.get(name) or ()):
            at = SPEC / name / index
            for number, port in enumerate(rule.get("ports") or ()):
                errors += _port(at / "ports" / number, port)
            for number, peer in enumerate(rule.get(peers) or ()):
                errors += _peer(at / peers / number, peer)
    return errors + _types(spec.get("policyTypes") or [])


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def _types(types: list[str]) -> Errors:
    if len(types) > len(TYPES):
        return [field.invalid(SPEC / "policyTypes", types, "may not specify more than two policyTypes")]
    at = SPEC / "policyTypes"
    return [field.not_supported(at / i, kind, TYPES) for i, kind in enumerate(types) if kind not in TYPES]


def _port(path: Path, port: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    if port.get("protocol") not in (None, *PROTOCOLS):
        errors.append(field.not_supported(path / "protocol", port["protocol"], PROTOCOLS))
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        needed = field.required(path / "port", "must be specified when `endPort` is specified")
        return errors if end is None else [*errors, needed]
    if isinstance(number, str):
        if end is not None:
            errors.append(field.invalid(path / "endPort", end, "may not be specified when `port` is non-numeric"))
        return errors + each(path / "port", number, port_name_errors(number))
    errors += port_number(path / "port", number)
    if end is not None:
        if end < number:
            errors.append(field.invalid(path / "endPort", number, "must be greater than or equal to `port`"))
        errors += port_number(path / "endPort", end)
    return errors


def _peer(path: Path, peer: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    for name in ("podSelector", "namespaceSelector"):
        errors += label_selector(path / name, peer.get(name))
    block = peer.get("ipBlock")
    if block is not None:
        errors += _block(path / "ipBlock", block)
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    if not given:
        errors.append(field.required(path, "must specify a peer"))
    elif len(given) > 1 and block is not None:
        errors.append(field.forbidden(path, "may not specify both ipBlock and another peer"))
    return errors


def _block(path: Path, block: Mapping[str, Any]) -> Errors:
    text = block.get("cidr") or ""
    if not text:
        return [field.required(path / "cidr")]
    errors = valid_cidr(path / "cidr", text)
    if errors:
        return errors
    outer = ipaddress.ip_network(text, strict=False)
    for index, inner in enumerate(block.get("except") or ()):
        at = path / "except" / index
        problems = valid_cidr(at, inner)
        errors += problems
        if not problems and not _strictly_inside(ipaddress.ip_network(inner, strict=False), outer):
            errors.append(field.invalid(at, inner, "must be a strict subset of `cidr`"))
    return errors


def _strictly_inside(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner.prefixlen > outer.prefixlen and inner.subnet_of(outer))


def row(policy: Object, now: datetime) -> list[Any]:
    """Name, Pod-Selector, Age."""
    selector = (policy.get("spec") or {}).get("podSelector")
    return [policy["metadata"]["name"], format_selector(selector), object_age(policy, now)]


RESOURCE = Resource(
    group="networking.k8s.io",
    version="v1",
    name="networkpolicies",
    kind="NetworkPolicy",
    refused_as="extensions",
    schema="io.k8s.api.networking.v1.NetworkPolicy",
    short_names=("netpol",),
    default=default,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("Pod-Selector"), AGE),
    row=row,
)
