"""Ingress of networking.k8s.io/v1 (upstream: pkg/apis/networking, pkg/registry/networking/ingress)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors
from pybernetes.api.wellknown import ANNOTATION_INGRESS_CLASS

from ...resource import Column, Errors, Object, Resource
from ..meta import path_segment_errors
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import (
    dns1035_label_errors,
    dns_subdomain,
    each,
    parse_ip,
    port_name_errors,
    port_number,
    regex_error,
    valid_ip,
)

SPEC = Path("spec")
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
BAD_SEQUENCES, BAD_ENDS = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
MAX_HOSTS_SHOWN = 3
_WILDCARD = re.compile(r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WILDCARD_TEXT = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)


def prepare_create(ingress: Object) -> None:
    """No balancer yet."""
    ingress["status"] = {"loadBalancer": {}}


# --- validation ---------------------------------------------------------------------------------


def validate(ingress: Object) -> Errors:
    """ValidateIngressCreate."""
    spec = ingress.get("spec") or {}
    errors = spec_errors(spec)
    annotation = ((ingress.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION_INGRESS_CLASS)
    name = spec.get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        at = Path("annotations") / ANNOTATION_INGRESS_CLASS
        errors.append(field.invalid(at, annotation, "must match `ingressClassName` when both are specified"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation, but for the annotation."""
    return spec_errors(new.get("spec") or {}, any_secret=any_secret(old))


def any_secret(ingress: Object) -> bool:
    """Whether it names a Secret that cannot be, which may stay then."""
    names = [tls.get("secretName") for tls in (ingress.get("spec") or {}).get("tls") or ()]
    return any(dns1123_subdomain_errors(name) for name in names if name)


def spec_errors(spec: Mapping[str, Any], *, any_secret: bool = False) -> Errors:
    """Of creations and changes; `any_secret`: names of Secrets are not looked at."""
    errors: Errors = []
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        errors.append(field.invalid(SPEC, rules, "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        errors += _backend(SPEC / "defaultBackend", backend)
    for index, rule in enumerate(rules):
        errors += _rule(SPEC / "rules" / index, rule)
    for index, tls in enumerate(spec.get("tls") or ()):
        at = SPEC / "tls" / index
        for number, host in enumerate(tls.get("hosts") or ()):
            errors += _host(at / "hosts" / number, host)
        if (name := tls.get("secretName")) and not any_secret:
            errors += dns_subdomain(at / "secretName", name)
    if (name := spec.get("ingressClassName")) is not None:
        errors += dns_subdomain(SPEC / "ingressClassName", name)
    return errors


def _host(path: Path, host: str) -> Errors:
    if "*" not in host:
        return dns_subdomain(path, host)
    if _WILDCARD.fullmatch(host):
        return []
    return [field.invalid(path, host, regex_error(_WILDCARD_TEXT, _WILDCARD.pattern, "*.example.com"))]


def _rule(path: Path, rule: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    if host := rule.get("host"):
        if parse_ip(host) is not None:
            errors.append(field.invalid(path / "host", host, "must be a DNS name, not an IP address"))
        errors += _host(path / "host", host)
    http = rule.get("http")
    if http is None:
        return errors
    paths, at = http.get("paths") or (), path / "http" / "paths"
    if not paths:
        errors.append(field.required(at))
    return errors + [error for index, item in enumerate(paths) for error in _path(at / index, item)]


def _path(at: Path, item: Mapping[str, Any]) -> Errors:
    kind, text = item.get("pathType"), item.get("path") or ""
    if kind is None:
        return [field.required(at / "pathType", "pathType must be specified")]
    errors: Errors = []
    if kind not in PATH_TYPES:
        errors.append(field.not_supported(at / "pathType", kind, PATH_TYPES))
    elif (text or kind != "ImplementationSpecific") and not text.startswith("/"):
        errors.append(field.invalid(at / "path", text, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        problems = [f"must not contain '{part}'" for part in BAD_SEQUENCES if part in text]
        problems += [f"cannot end with '{end}'" for end in BAD_ENDS if text.endswith(end)]
        errors += each(at / "path", text, problems)
    return errors + _backend(at / "backend", item.get("backend") or {})


def _backend(path: Path, backend: Mapping[str, Any]) -> Errors:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [field.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return local_reference(path / "resource", resource)
    if service is None:
        return [field.invalid(path, "", "resource or service backend is required")]
    at, name = path / "service", service.get("name") or ""
    errors = each(at / "name", name, dns1035_label_errors(name)) if name else [field.required(at / "name")]
    port = service.get("port") or {}
    named, number = port.get("name") or "", port.get("number") or 0
    if named and number:
        errors.append(field.invalid(path, "", "cannot set both port name & port number"))
    elif named:
        errors += each(at / "port" / "name", named, port_name_errors(named))
    elif number:
        errors += port_number(at / "port" / "number", number)
    else:
        errors.append(field.required(path, "port name or number is required"))
    return errors


def local_reference(path: Path, reference: Mapping[str, Any]) -> Errors:
    """A TypedLocalObjectReference."""
    errors: Errors = []
    if (group := reference.get("apiGroup")) is not None:
        errors += dns_subdomain(path / "apiGroup", group)
    for name in ("kind", "name"):
        value = reference.get(name) or ""
        if value:
            errors += each(path / name, value, path_segment_errors(value))
        else:
            errors.append(field.required(path / name, f"{name} is required"))
    return errors


def warnings(ingress: Object, old: Object | None) -> list[str]:
    """The annotation that was there before the field."""
    if old is not None or ANNOTATION_INGRESS_CLASS not in ((ingress.get("metadata") or {}).get("annotations") or {}):
        return []
    return [
        f"annotation {field.quote(ANNOTATION_INGRESS_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"
    ]


def validate_status(new: Object, old: Object) -> Errors:
    """Addresses and names of the balancer."""
    errors: Errors = []
    items = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for index, item in enumerate(items):
        at = Path("status.loadBalancer.ingress") / index
        if text := item.get("ip"):
            errors += valid_ip(at / "ip", text)
        if name := item.get("hostname"):
            errors += dns_subdomain(at / "hostname", name)
            if parse_ip(name) is not None:
                errors.append(field.invalid(at / "hostname", name, "must be a DNS name, not an IP address"))
    return errors


# --- table --------------------------------------------------------------------------------------


def _hosts(rules: Sequence[Mapping[str, Any]]) -> str:
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    shown = ",".join(hosts[:MAX_HOSTS_SHOWN]) or "*"
    more = len(hosts) >= MAX_HOSTS_SHOWN and len(rules) > MAX_HOSTS_SHOWN
    return f"{shown} + {len(rules) - MAX_HOSTS_SHOWN} more..." if more else shown


def row(ingress: Object, now: datetime) -> list[Any]:
    """Name, Class, Hosts, Address, Ports, Age."""
    spec = ingress.get("spec") or {}
    items = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    name = spec.get("ingressClassName")
    return [
        ingress["metadata"]["name"],
        "<none>" if name is None else name,
        _hosts(spec.get("rules") or ()),
        ",".join(sorted({i.get("ip") or i.get("hostname") or "" for i in items} - {""})),
        "80, 443" if spec.get("tls") else "80",
        object_age(ingress, now),
    ]


RESOURCE = Resource(
    group="networking.k8s.io",
    version="v1",
    name="ingresses",
    kind="Ingress",
    refused_as="extensions",
    schema="io.k8s.api.networking.v1.Ingress",
    short_names=("ing",),
    status=True,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    validate_status=validate_status,
    columns=(
        NAME,
        Column(
            "Class",
            description="The name of the IngressClass resource that should be used for additional configuration",
        ),
        Column("Hosts", description="Hosts that incoming requests are matched against before the ingress rule"),
        Column("Address", description="Address is a list containing ingress points for the load-balancer"),
        Column("Ports", description="Ports of TLS configurations that open"),
        AGE,
    ),
    row=row,
)
