"""ServiceCIDR of networking.k8s.io/v1: a range of service addresses (upstream: pkg/registry/networking/servicecidr)."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import IMMUTABLE, dual_stack, valid_cidr

CIDRS = Path("spec.cidrs")
ONE_OF_EACH = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96"


def _cidrs(obj: Object) -> list[str]:
    return (obj.get("spec") or {}).get("cidrs") or []


def prepare_create(cidr: Object) -> None:
    """Nobody has looked at it yet."""
    cidr["status"] = {}


def validate(cidr: Object) -> Errors:
    """One range, or one of each family."""
    texts = _cidrs(cidr)
    if not texts:
        return [field.required(CIDRS, "at least one CIDR required")]
    if len(texts) > 2:
        return [field.invalid(CIDRS, texts, "may only hold up to 2 values")]
    if len(texts) == 2 and not dual_stack(texts):
        return [field.invalid(CIDRS, texts, ONE_OF_EACH)]
    return [error for index, text in enumerate(texts) for error in _strict(CIDRS / index, text)]


def _strict(path: Path, text: str) -> Errors:
    errors = valid_cidr(path, text)
    if errors:
        return errors
    canonical = str(ipaddress.ip_network(text))
    return (
        []
        if canonical == text
        else [field.invalid(path, text, f"must be in canonical form ({field.quote(canonical)})")]
    )


def validate_update(new: Object, old: Object) -> Errors:
    """The range stays; a second one of the other family may come."""
    after, before = _cidrs(new), _cidrs(old)
    if len(after) == len(before):
        return [field.invalid(CIDRS / i, after, IMMUTABLE) for i, text in enumerate(before) if text != after[i]]
    if len(before) == 1 and len(after) == 2:
        errors = [field.invalid(CIDRS / 0, after, IMMUTABLE)] if after[0] != before[0] else []
        return errors + validate(new)
    return [field.invalid(CIDRS, after, IMMUTABLE)]


def row(cidr: Object, now: datetime) -> list[Any]:
    """Name, CIDRs, Age."""
    return [cidr["metadata"]["name"], ",".join(_cidrs(cidr)), object_age(cidr, now)]


RESOURCE = Resource(
    group="networking.k8s.io",
    version="v1",
    name="servicecidrs",
    kind="ServiceCIDR",
    schema="io.k8s.api.networking.v1.ServiceCIDR",
    namespaced=False,
    status=True,
    generation=False,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("CIDRs", description="IP ranges that addresses of Services are taken from"), AGE),
    row=row,
)
