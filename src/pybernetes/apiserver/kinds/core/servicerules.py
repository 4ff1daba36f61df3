"""Checks of services (upstream: core validation, ValidateService and around)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.wellknown import ANNOTATION_TOPOLOGY_AWARE_HINTS, ANNOTATION_TOPOLOGY_MODE

from ..validation import (
    IMMUTABLE,
    MAX_WHOLE,
    Errors,
    dns_label,
    dns_subdomain,
    dual_stack,
    enum,
    label_map,
    not_special_ip,
    parse_ip,
    port_number,
    port_number_or_name,
    qualified_name,
    valid_cidr,
    valid_ip,
)
from .containers import PROTOCOLS

Object = Mapping[str, Any]

SPEC = Path("spec")
HEADLESS = "None"
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
MAX_AFFINITY_SECONDS = 86400
RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"
ONCE = "may not change once set"


def externally_accessible(spec: Object) -> bool:
    """Traffic comes from outside of the cluster."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_port(spec: Object) -> bool:
    """A balancer must find out which nodes have endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def headless(spec: Object) -> bool:
    """Without an address of its own."""
    return bool(spec.get("clusterIPs") == [HEADLESS])


# --- the whole ----------------------------------------------------------------------------------


def validate(service: Object) -> Errors:
    """On creation, after addresses and ports were allocated."""
    return _service(service, {}, None)


def validate_update(new: Object, old: Object) -> Errors:
    """What was allocated stays."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors: Errors = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        if not (headless(spec) and headless(before)):
            errors += _addresses_stay(spec, before)
        if not headless(spec) and not headless(before):
            errors += _families_stay(spec, before)
    if spec.get("type") == before.get("type") == "LoadBalancer":
        name = spec.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            errors.append(field.invalid(SPEC / "loadBalancerClass", name, ONCE))
    errors += _balancer_class(spec)
    health_ports = [s.get("healthCheckNodePort") for s in (spec, before) if needs_health_port(s)]
    if len(set(health_ports)) > 1:
        errors.append(field.forbidden(SPEC / "healthCheckNodePort", IMMUTABLE))
    return errors + _service(new, before, (old.get("metadata") or {}).get("annotations") or {})


def _service(service: Object, before: Object, annotated: Object | None) -> Errors:
    """`before` and `annotated` are the old spec and annotations; None for annotations when there is no old service."""
    spec = service.get("spec") or {}
    ports, kind = spec.get("ports") or (), spec.get("type") or ""
    errors = _topology((service.get("metadata") or {}).get("annotations") or {})
    if not ports and not headless(spec) and kind != "ExternalName":
        errors.append(field.required(SPEC / "ports"))
    errors += _by_type(spec, kind)
    names: set[str] = set()
    for index, port in enumerate(ports):
        errors += _port(SPEC / "ports" / index, port, len(ports) > 1, names)
    errors += label_map(SPEC / "selector", spec.get("selector"))
    errors += _affinity(spec)
    errors += validate_cluster_ips(service, frozenset(before.get("clusterIPs") or ()))
    existing = frozenset(before.get("externalIPs") or ())
    for index, text in enumerate(spec.get("externalIPs") or ()):
        at = SPEC / "externalIPs" / index
        errors += valid_ip(at, text, existing) or not_special_ip(at, text)
    errors += enum(SPEC / "type", kind, TYPES)
    errors += _port_conflicts(ports, kind)
    errors += _balancer(service, spec, kind, before, annotated)
    errors += _traffic(spec, kind)
    return errors


def _topology(annotations: Object) -> Errors:
    """The old name and the new one say the same."""
    hints, mode = annotations.get(ANNOTATION_TOPOLOGY_AWARE_HINTS), annotations.get(ANNOTATION_TOPOLOGY_MODE)
    if hints is None or mode is None or hints == mode:
        return []
    why = f"must match annotations[{ANNOTATION_TOPOLOGY_AWARE_HINTS}] when both are specified"
    return [field.invalid(Path("metadata.annotations").key(ANNOTATION_TOPOLOGY_MODE), mode, why)]


def _by_type(spec: Object, kind: str) -> Errors:
    if kind in ("LoadBalancer", "NodePort"):
        why = f"may not be set to 'None' for {kind} services"
        return [field.invalid(SPEC / "clusterIPs" / 0, HEADLESS, why)] if headless(spec) else []
    if kind != "ExternalName":
        return []
    why = "may not be set for ExternalName services"
    errors = [field.forbidden(SPEC / name, why) for name in ("clusterIPs", "ipFamilies") if spec.get(name)]
    if spec.get("ipFamilyPolicy") is not None:
        errors.append(field.forbidden(SPEC / "ipFamilyPolicy", why))
    name = (spec.get("externalName") or "").removesuffix(".")
    at = SPEC / "externalName"
    return errors + (dns_subdomain(at, name) if name else [field.required(at)])


def _port(path: Path, port: Object, name_needed: bool, names: set[str]) -> Errors:
    errors: Errors = []
    name = port.get("name") or ""
    if name:
        errors += dns_label(path / "name", name)
        if name in names:
            errors.append(field.duplicate(path / "name", name))
        names.add(name)
    elif name_needed:
        errors.append(field.required(path / "name"))
    errors += port_number(path / "port", port.get("port") or 0)
    errors += enum(path / "protocol", port.get("protocol"), PROTOCOLS)
    errors += port_number_or_name(path / "targetPort", port.get("targetPort") or 0)
    if (protocol := port.get("appProtocol")) is not None:
        errors += qualified_name(path / "appProtocol", protocol)
    return errors


def _port_conflicts(ports: Sequence[Object], kind: str) -> Errors:
    errors: Errors = []
    if kind == "ClusterIP":
        for index, port in enumerate(ports):
            if port.get("nodePort"):
                why = "may not be used when `type` is 'ClusterIP'"
                errors.append(field.forbidden(SPEC / "ports" / index / "nodePort", why))
    seen: set[tuple[str, Any]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol") or "", port.get("nodePort"))
        if key[1] and key in seen:
            errors.append(field.duplicate(SPEC / "ports" / index / "nodePort", key[1]))
        seen.add(key)
    seen.clear()
    for index, port in enumerate(ports):
        key = (port.get("protocol") or "", port.get("port") or 0)
        if key in seen:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.append(field.duplicate(SPEC / "ports" / index, shown))
        seen.add(key)
    return errors


def _affinity(spec: Object) -> Errors:
    affinity, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    errors = enum(SPEC / "sessionAffinity", affinity, ("ClientIP", "None"))
    at = SPEC / "sessionAffinityConfig"
    if affinity == "None" and config is not None:
        errors.append(field.forbidden(at, "must not be set when session affinity is None"))
    if affinity != "ClientIP":
        return errors
    why = "when session affinity type is ClientIP"
    client = None if config is None else config.get("clientIP")
    if config is None:
        return [*errors, field.required(at, why)]
    if client is None:
        return [*errors, field.required(at / "clientIP", why)]
    seconds = client.get("timeoutSeconds")
    at = at / "clientIP" / "timeoutSeconds"
    if seconds is None:
        return [*errors, field.required(at, why)]
    if not 0 < seconds <= MAX_AFFINITY_SECONDS:
        errors.append(field.invalid(at, seconds, f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"))
    return errors


def _balancer_class(spec: Object) -> Errors:
    name, at = spec.get("loadBalancerClass"), SPEC / "loadBalancerClass"
    if name is None:
        return []
    return qualified_name(at, name) if spec.get("type") == "LoadBalancer" else [field.forbidden(at, ONLY_BALANCED)]


def _balancer(service: Object, spec: Object, kind: str, before: Object, annotated: Object | None) -> Errors:
    errors: Errors = []
    balanced = kind == "LoadBalancer"
    annotations = (service.get("metadata") or {}).get("annotations") or {}
    if ranges := spec.get("loadBalancerSourceRanges"):
        at = SPEC / "LoadBalancerSourceRanges"
        errors += [] if balanced else [field.forbidden(at, ONLY_BALANCED)]
        existing = {text.strip() for text in before.get("loadBalancerSourceRanges") or ()}
        for index, text in enumerate(ranges):
            errors += valid_cidr(at / index, text.strip(), existing)
    elif RANGES_ANNOTATION in annotations:
        at = Path("metadata.annotations").key(RANGES_ANNOTATION)
        errors += [] if balanced else [field.forbidden(at, ONLY_BALANCED)]
        texts = annotations[RANGES_ANNOTATION].strip()
        if texts and (annotated is None or annotated.get(RANGES_ANNOTATION) != annotations[RANGES_ANNOTATION]):
            errors += [error for text in texts.split(",") for error in valid_cidr(at, text.strip())]
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and not balanced:
        errors.append(field.forbidden(SPEC / "allocateLoadBalancerNodePorts", ONLY_BALANCED))
    if allocate is None and balanced:
        errors.append(field.required(Path("allocateLoadBalancerNodePorts")))
    return errors + _balancer_class(spec)


def _traffic(spec: Object, kind: str) -> Errors:
    errors: Errors = []
    policy, at = spec.get("externalTrafficPolicy") or "", SPEC / "externalTrafficPolicy"
    if externally_accessible(spec):
        errors += enum(at, policy, ("Cluster", "Local"))
    elif policy:
        errors.append(field.invalid(at, policy, "may only be set for externally-accessible services"))
    port, at = spec.get("healthCheckNodePort") or 0, SPEC / "healthCheckNodePort"
    if needs_health_port(spec):
        errors += port_number(at, port) if port else [field.required(at)]
    elif port:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(field.invalid(at, port, why))
    policy, at = spec.get("internalTrafficPolicy"), SPEC / "internalTrafficPolicy"
    if policy is None and kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        errors.append(field.required(at))
    elif policy not in (None, "Cluster", "Local"):
        errors.append(field.not_supported(at, policy, ("Cluster", "Local")))
    if (name := spec.get("trafficDistribution")) is not None and name not in DISTRIBUTIONS:
        errors.append(field.not_supported(SPEC / "trafficDistribution", name, DISTRIBUTIONS))
    return errors


# --- addresses ----------------------------------------------------------------------------------


def validate_cluster_ips(service: Object, existing: Collection[str] = ()) -> Errors:
    """Addresses and families, which allocation needs in order (ValidateServiceClusterIPsRelatedFields)."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return []
    errors: Errors = []
    one, many, at = spec.get("clusterIP") or "", spec.get("clusterIPs") or [], SPEC / "clusterIPs"
    if not many:
        errors += [field.required(at)] if one else []
    elif not one:
        errors.append(field.invalid(at, many, "must be empty when `clusterIP` is not specified"))
    elif many[0] != one:
        errors.append(field.invalid(at, many, "first value must match `clusterIP`"))
    families = spec.get("ipFamilies") or []
    again = {index for index, _ in field.repeats(families)}
    for index, family in enumerate(families):
        if family not in FAMILIES:
            errors.append(field.not_supported(SPEC / "ipFamilies" / index, family, FAMILIES))
        if index in again:
            errors.append(field.duplicate(SPEC / "ipFamilies" / index, family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(field.not_supported(SPEC / "ipFamilyPolicy", policy, FAMILY_POLICIES))
    bad, stop = _addresses(at, many, existing)
    errors += bad
    if stop:
        return errors
    if len(many) > 1 and not dual_stack(many):
        errors.append(field.invalid(at, many, "may specify no more than one IP for each IP family"))
    return errors if headless(spec) else errors + _families(at, many, families)


def _addresses(path: Path, addresses: list[str], existing: Collection[str]) -> tuple[Errors, bool]:
    errors: Errors = []
    stop = False
    for index, text in enumerate(addresses):
        if index == 0 and text == HEADLESS:
            if len(addresses) > 1:
                stop = True
                errors.append(field.invalid(path, addresses, "'None' must be the first and only value"))
            continue
        problems = valid_ip(path / index, text, existing)
        stop = stop or bool(problems)
        errors += problems
    if len(addresses) > 2:
        errors.append(field.invalid(path, addresses, "may only hold up to 2 values"))
    return errors, stop


def _families(path: Path, addresses: list[str], families: list[str]) -> Errors:
    errors: Errors = []
    for index, (text, family) in enumerate(zip(addresses, families, strict=False)):
        address = parse_ip(text)
        if address is not None and family in FAMILIES and f"IPv{address.version}" != family:
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.append(field.invalid(path / index, text, why))
    return errors


def _addresses_stay(spec: Object, before: Object) -> Errors:
    """The first of the list stays; the second may come, and go when a single one is asked for."""
    new, old, at = spec.get("clusterIPs") or [], before.get("clusterIPs") or [], SPEC / "clusterIPs"
    if len(new) == len(old):
        changed = [index for index, value in enumerate(old) if value != new[index]]
        return [field.invalid(at / index, new, ONCE) for index in changed[:MAX_WHOLE]]
    errors: Errors = []
    if not new:
        errors.append(field.invalid(at / 0, new, "primary clusterIP can not be unset"))
    elif old and new[0] != old[0]:
        errors.append(field.invalid(at / 0, new, ONCE))
    return errors + _released("clusterIP", len(new), len(old), spec)


def _families_stay(spec: Object, before: Object) -> Errors:
    """As addresses; which of the values upstream shows is not always the right one."""
    new, old, at = spec.get("ipFamilies") or [], before.get("ipFamilies") or [], SPEC / "ipFamilies" / 0
    addresses = spec.get("clusterIPs") or []
    if len(new) == len(old):
        changed = [value for index, value in enumerate(old) if value != new[index]]
        return [field.invalid(at, new, ONCE) for _ in changed[:MAX_WHOLE]]
    errors: Errors = []
    if len(old) > len(new) and not addresses:
        errors.append(field.invalid(at, new, "primary ipFamily can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(field.invalid(at, addresses, ONCE))
    return errors + _released("ipFamily", len(new), len(old), spec)


def _released(name: str, new: int, old: int, spec: Object) -> Errors:
    policy = spec.get("ipFamilyPolicy")
    if new != 1 or old <= new or policy == "SingleStack":
        return []
    why = f"must be set to 'SingleStack' when releasing the secondary {name}"
    return [field.invalid(SPEC / "ipFamilyPolicy", policy, why)]


# --- status -------------------------------------------------------------------------------------


def validate_status(new: Object, old: Object) -> Errors:
    """What the balancer says."""
    status = (new.get("status") or {}).get("loadBalancer") or {}
    at, items = Path("status.loadBalancer.ingress"), status.get("ingress") or ()
    if items and (new.get("spec") or {}).get("type") != "LoadBalancer":
        return [field.forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")]
    before = ((old.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    existing = {item["ip"] for item in before if item.get("ip")}
    return [error for index, item in enumerate(items) for error in _ingress(at / index, item, existing)]


def _ingress(path: Path, item: Object, existing: Collection[str]) -> Errors:
    errors: Errors = []
    address, mode, name = item.get("ip") or "", item.get("ipMode"), item.get("hostname") or ""
    if address:
        errors += valid_ip(path / "ip", address, existing)
    if address and mode is None:
        errors.append(field.required(path / "ipMode", "must be specified when `ip` is set"))
    elif mode is not None and not address:
        errors.append(field.forbidden(path / "ipMode", "may not be specified when `ip` is not set"))
    elif mode not in (None, "Proxy", "VIP"):
        errors.append(field.not_supported(path / "ipMode", mode, ("Proxy", "VIP")))
    if name:
        errors += dns_subdomain(path / "hostname", name)
        if parse_ip(name) is not None:
            errors.append(field.invalid(path / "hostname", name, "must be a DNS name, not an IP address"))
    return errors
