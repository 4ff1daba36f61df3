"""What earlier releases have stored, in the versions that are stored today. Pure.

Upstream converts through internal types; of what differs between the versions only what those releases could store is here. All is from
the types of k8s.io/api at the versions named, and from their v1 conversions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybernetes.api.wellknown import LABEL_HOSTNAME, LABEL_TOPOLOGY_ZONE

from ..kinds.autoscaling.conversion import to_v2
from ..resource import Object

# The same fields in both: only the version's name is another.
RENAMED = {
    "admissionregistration.k8s.io/v1beta1": "admissionregistration.k8s.io/v1",
    "apiregistration.k8s.io/v1beta1": "apiregistration.k8s.io/v1",
    "authorization.k8s.io/v1beta1": "authorization.k8s.io/v1",
    "apps/v1beta1": "apps/v1",
    "apps/v1beta2": "apps/v1",
    "batch/v1beta1": "batch/v1",
    "certificates.k8s.io/v1beta1": "certificates.k8s.io/v1",
    "coordination.k8s.io/v1beta1": "coordination.k8s.io/v1",
    "events.k8s.io/v1beta1": "events.k8s.io/v1",
    "node.k8s.io/v1beta1": "node.k8s.io/v1",
    "policy/v1beta1": "policy/v1",
    "rbac.authorization.k8s.io/v1beta1": "rbac.authorization.k8s.io/v1",
    "scheduling.k8s.io/v1beta1": "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1": "storage.k8s.io/v1",
}


def converted(obj: Object) -> Object:
    """The object, or one made of it."""
    version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    change = CHANGED.get((version, kind))
    if change is not None:
        return change(obj)
    renamed = RENAMED.get(version)
    return {**obj, "apiVersion": renamed} if renamed else obj


def _endpoint_slice(obj: Object) -> Object:
    """discovery v1beta1 had all of an endpoint's places in `topology`."""
    endpoints = []
    for endpoint in obj.get("endpoints") or ():
        converted = {name: value for name, value in endpoint.items() if name != "topology"}
        topology = dict(endpoint.get("topology") or {})
        for label, name in ((LABEL_HOSTNAME, "nodeName"), (LABEL_TOPOLOGY_ZONE, "zone")):
            if value := topology.pop(label, ""):
                converted.setdefault(name, value)
        if topology:
            converted["deprecatedTopology"] = topology
        endpoints.append(converted)
    return {**obj, "apiVersion": "discovery.k8s.io/v1", "endpoints": endpoints}


def _backend(backend: Object) -> Object:
    """Of an Ingress of networking v1beta1: a service's name and port side by side."""
    converted = {name: value for name, value in backend.items() if name not in ("serviceName", "servicePort")}
    if "serviceName" in backend or "servicePort" in backend:
        port = backend.get("servicePort", 0)
        service: Object = {"name": backend.get("serviceName", "")}
        if port:
            service["port"] = {"number": port} if isinstance(port, int) else {"name": port}
        converted["service"] = service
    return converted


def _ingress(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    if "backend" in spec:
        spec["defaultBackend"] = _backend(spec.pop("backend"))
    rules = []
    for rule in spec.get("rules") or ():
        http = rule.get("http")
        if http:
            paths = [
                {"pathType": "ImplementationSpecific", **path, "backend": _backend(path.get("backend") or {})}
                for path in http.get("paths") or ()
            ]
            rule = {**rule, "http": {**http, "paths": paths}}
        rules.append(rule)
    if rules:
        spec["rules"] = rules
    return {**obj, "apiVersion": "networking.k8s.io/v1", "spec": spec}


def _autoscaler(obj: Object) -> Object:
    """autoscaling/v1 keeps what it has no fields for in annotations; some releases wrote them with the internal type's names."""
    converted = to_v2(obj)
    spec, status = converted.get("spec") or {}, converted.get("status") or {}
    for part, name in ((spec, "behavior"), (spec, "metrics"), (status, "currentMetrics"), (status, "conditions")):
        if part.get(name):
            part[name] = _lowered(part[name])
    return converted


def _lowered(value: Any) -> Any:
    if isinstance(value, list):
        return [_lowered(one) for one in value]
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _lowered(one) for name, one in value.items()}
    return value


def _flow_schema(obj: Object) -> Object:
    return {**obj, "apiVersion": "flowcontrol.apiserver.k8s.io/v1"}


def _priority_level(obj: Object) -> Object:
    """Before v1beta3 shares were called after what they assure."""
    spec = dict(obj.get("spec") or {})
    limited = spec.get("limited")
    if limited and "assuredConcurrencyShares" in limited:
        limited = dict(limited)
        limited["nominalConcurrencyShares"] = limited.pop("assuredConcurrencyShares")
        spec["limited"] = limited
    return {**obj, "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "spec": spec}


# Of a CustomResourceDefinition of v1beta1: for all versions alike, unless a version has its own.
_OF_ALL = (
    ("validation", "schema"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
)


def _custom_resource_definition(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    shared = {name: spec.pop(old) for old, name in _OF_ALL if old in spec}
    shared = {name: _columns(value) if name == "additionalPrinterColumns" else value for name, value in shared.items()}
    single = spec.pop("version", "")
    versions = spec.get("versions") or [{"name": single, "served": True, "storage": True}]
    spec["versions"] = [_version({**shared, **version}) for version in versions]
    conversion = dict(spec.get("conversion") or {"strategy": "None"})
    client, reviews = conversion.pop("webhookClientConfig", None), conversion.pop("conversionReviewVersions", None)
    if client is not None or reviews is not None:
        conversion["webhook"] = {"clientConfig": client, "conversionReviewVersions": reviews or ["v1beta1"]}
    spec["conversion"] = conversion
    if spec.get("preserveUnknownFields") is False:
        del spec["preserveUnknownFields"]
    return {**obj, "apiVersion": "apiextensions.k8s.io/v1", "spec": spec}


def _version(version: Object) -> Object:
    if "additionalPrinterColumns" in version:
        version = {**version, "additionalPrinterColumns": _columns(version["additionalPrinterColumns"])}
    return version


def _columns(columns: Any) -> list[Object]:
    """`JSONPath` became `jsonPath`."""
    return [
        {("jsonPath" if name == "JSONPath" else name): value for name, value in one.items()} for one in columns or ()
    ]


CHANGED: dict[tuple[str, str], Callable[[Object], Object]] = {
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io/v1beta1", "Ingress"): _ingress,
    ("networking.k8s.io/v1beta1", "IngressClass"): lambda obj: {**obj, "apiVersion": "networking.k8s.io/v1"},
    ("extensions/v1beta1", "Ingress"): _ingress,
    ("autoscaling/v1", "HorizontalPodAutoscaler"): _autoscaler,
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): _custom_resource_definition,
    **{
        (f"flowcontrol.apiserver.k8s.io/{version}", kind): change
        for version in ("v1alpha1", "v1beta1", "v1beta2", "v1beta3")
        for kind, change in (("FlowSchema", _flow_schema), ("PriorityLevelConfiguration", _priority_level))
    },
}
