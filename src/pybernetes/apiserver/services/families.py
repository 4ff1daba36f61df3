"""IP families of a Service, as far as the cluster's ranges allow (upstream: initIPFamilyFields of pkg/registry/core/service/storage/alloc.go)."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api import errors, field
from pybernetes.api.field import FieldError, Path

from ..kinds.core.servicerules import FAMILIES, HEADLESS, validate_cluster_ips
from ..kinds.validation import parse_ip
from ..resource import Object

SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
POLICY, IPS = Path("spec.ipFamilyPolicy"), Path("spec.clusterIPs")
MANY = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
RELEASE = "must be 'SingleStack' to release the secondary"


def family_of(address: str) -> str:
    """IPv4 or IPv6; unknown for what is no address."""
    parsed = parse_ip(address)
    return f"IPv{parsed.version}" if parsed else "unknown"


def matching_dual_stack(spec: Object, before: Object | None) -> bool:
    """Both prefer two stacks and nothing changed: such a service is left as it is, whatever the cluster has now."""
    if before is None or spec.get("type") != before.get("type") or spec.get("type") == "ExternalName":
        return False
    if spec.get("ipFamilyPolicy") != PREFER or before.get("ipFamilyPolicy") not in (None, PREFER):
        return False
    return all((spec.get(name) or []) == (before.get(name) or []) for name in ("clusterIPs", "ipFamilies"))


def fill_in(service: Object, old: Object | None, configured: Sequence[str]) -> None:
    """ipFamilyPolicy and ipFamilies. `configured`: the cluster's families, its default first. StatusError 422."""
    spec: Object = service["spec"]
    before: Object | None = old.get("spec") or {} if old is not None else None
    if spec.get("type") == "ExternalName" or matching_dual_stack(spec, before):
        return
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = _policy(spec, before)
    _refuse(service, validate_cluster_ips(service, (before or {}).get("clusterIPs") or ()))
    _refuse(service, _narrowed(spec, before) + _single(spec) + _inferred(spec, configured))
    if _headless_without_selector(spec):
        families = spec["ipFamilies"] = spec.get("ipFamilies") or [configured[0]]
        if len(families) < 2 and spec["ipFamilyPolicy"] != SINGLE:
            families.append(_other(families[0]))
        return
    _refuse(service, _configured(spec, configured))
    families = spec["ipFamilies"] = spec.get("ipFamilies") or [configured[0]]
    if spec["ipFamilyPolicy"] != SINGLE and len(families) == 1 and len(configured) == 2:
        families.append(_other(families[0]))


def _refuse(service: Object, problems: list[FieldError]) -> None:
    if problems:
        raise errors.invalid("", "Service", service["metadata"].get("name", ""), problems)


def _headless_without_selector(spec: Object) -> bool:
    return spec.get("clusterIP") == HEADLESS and not spec.get("selector")


def _policy(spec: Object, before: Object | None) -> str:
    if before and before.get("ipFamilyPolicy") is not None:
        return str(before["ipFamilyPolicy"])
    return REQUIRE if _headless_without_selector(spec) else SINGLE


def _other(family: str) -> str:
    return FAMILIES[1] if family == FAMILIES[0] else FAMILIES[0]


def _narrowed(spec: Object, before: Object | None) -> list[FieldError]:
    """A single stack drops what the client left from two; any other policy must not lose one silently."""
    if before is None:
        return []
    problems: list[FieldError] = []
    for name, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        now, was = spec.get(name) or [], before.get(name) or []
        if spec["ipFamilyPolicy"] == SINGLE:
            if now == was and len(now) > 1:
                spec[name] = now[:1]
        elif now and len(now) < len(was):
            problems.append(field.invalid(POLICY, spec["ipFamilyPolicy"], f"{RELEASE} {what}"))
    return problems


def _single(spec: Object) -> list[FieldError]:
    if spec["ipFamilyPolicy"] != SINGLE:
        return []
    pairs = (("clusterIPs", "cluster IPs are"), ("ipFamilies", "IP families are"))
    return [
        field.invalid(POLICY, SINGLE, f"{MANY} {what} specified")
        for name, what in pairs
        if len(spec.get(name) or ()) == 2
    ]


def _inferred(spec: Object, configured: Sequence[str]) -> list[FieldError]:
    """Families of the addresses that were asked for."""
    problems: list[FieldError] = []
    addresses = spec.get("clusterIPs") or []
    for index, address in enumerate(addresses):
        if address == HEADLESS:
            break
        families = spec.get("ipFamilies") or []
        if index < len(families):
            continue
        family = family_of(address)
        if family in configured:
            spec["ipFamilies"] = [*families, family]
        else:
            problems.append(field.invalid(IPS / index, addresses, f"{family} is not configured on this cluster"))
    return problems


def _configured(spec: Object, configured: Sequence[str]) -> list[FieldError]:
    problems: list[FieldError] = []
    if spec["ipFamilyPolicy"] == REQUIRE and len(configured) < 2:
        problems.append(field.invalid(POLICY, REQUIRE, "this cluster is not configured for dual-stack services"))
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in configured:
            at = Path("spec.ipFamilies") / index
            problems.append(field.invalid(at, family, "not configured on this cluster"))
    return problems
