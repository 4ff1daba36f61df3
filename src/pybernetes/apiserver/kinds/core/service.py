"""Service of v1 (upstream: pkg/registry/core/service/strategy.go, storage and defaults)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pybernetes.api.wellknown import ANNOTATION_TOPOLOGY_AWARE_HINTS, ANNOTATION_TOPOLOGY_MODE

from ...resource import Column, Object, Resource
from ..printing import AGE, NAME, format_labels, object_age
from ..strategy import keep_spec, keep_status
from . import servicerules
from .servicerules import externally_accessible, needs_health_port

AFFINITY_SECONDS = 10800
WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def default(service: Object) -> None:
    """SetDefaults_Service."""
    spec = service.setdefault("spec", {})
    affinity = spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}
    kind = spec["type"] = spec.get("type") or "ClusterIP"
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port") or 0
    if externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec.get("internalTrafficPolicy") is None and kind in WITH_ADDRESS:
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        for ingress in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip") and ingress.get("ipMode") is None:
                ingress["ipMode"] = "VIP"


def prepare_create(service: Object) -> None:
    """No balancer yet; the single address is the first of the list."""
    service["status"] = {"loadBalancer": {}}
    spec = service["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def prepare_update(new: Object, old: Object) -> None:
    """What was allocated stays where the client left it out, and goes where the new type has no use for it."""
    keep_status(new, old)
    spec, before = new["spec"], old.get("spec") or {}
    _addresses(spec, before)
    _drop_unused(spec, before)
    _keep_allocated(spec, before)


def _addresses(spec: Object, before: Object) -> None:
    """A client that knows only clusterIP, or only clusterIPs, changes both."""
    one, many = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    old_one, old_many = before.get("clusterIP") or "", before.get("clusterIPs") or []
    if one != old_one:
        if one and (not many or many == old_many):
            spec["clusterIPs"] = [one]
        elif not one and many == old_many:
            spec.pop("clusterIPs", None)
    elif many != old_many:
        if not many:
            spec.pop("clusterIP", None)
        elif one != many[0]:
            spec["clusterIP"] = many[0]


def _has_address(spec: Object) -> bool:
    return spec.get("type") in WITH_ADDRESS


def _has_node_ports(spec: Object) -> bool:
    if spec.get("type") == "NodePort":
        return True
    return spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False


def _is_balanced(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer"


_TYPE_FIELDS: tuple[tuple[Callable[[Object], bool], tuple[str, ...]], ...] = (
    (_has_address, ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")),
    (needs_health_port, ("healthCheckNodePort",)),
    (_is_balanced, ("allocateLoadBalancerNodePorts", "loadBalancerClass")),
    (externally_accessible, ("externalTrafficPolicy",)),
)


def _drop_unused(spec: Object, before: Object) -> None:
    """A change of type takes away what the client did not touch and the new type may not have."""
    for needs, names in _TYPE_FIELDS:
        if needs(before) and not needs(spec):
            for name in names:
                if name in spec and spec[name] == before.get(name):
                    del spec[name]
    if before.get("type") in WITH_NODE_PORTS and spec.get("type") not in WITH_NODE_PORTS:
        old_ports = [port.get("nodePort") for port in before.get("ports") or ()]
        if [port.get("nodePort") for port in spec.get("ports") or ()] == old_ports:
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)


def _keep_allocated(spec: Object, before: Object) -> None:
    if _has_address(spec) and _has_address(before) and not spec.get("clusterIP") and not spec.get("clusterIPs"):
        for name in ("clusterIP", "clusterIPs"):
            if before.get(name):
                spec[name] = before[name]
    if _has_node_ports(spec) and _has_node_ports(before):
        node_ports = {
            (port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()
        }
        taken = {port.get("nodePort") for port in spec.get("ports") or ()}
        for port in spec.get("ports") or ():
            number = node_ports.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and number and number not in taken:
                port["nodePort"] = number
    if needs_health_port(spec) and needs_health_port(before):
        port = spec.get("healthCheckNodePort") or before.get("healthCheckNodePort")
        spec.update({"healthCheckNodePort": port} if port else {})


def warnings(service: Object, old: Object | None) -> list[str]:
    """What has no effect, and what will have none (upstream: pkg/api/service/warnings.go)."""
    spec, kind = service["spec"], service["spec"].get("type")
    told: list[str] = []
    if ANNOTATION_TOPOLOGY_AWARE_HINTS in (service["metadata"].get("annotations") or {}):
        told.append(
            f"annotation {ANNOTATION_TOPOLOGY_AWARE_HINTS} is deprecated, please use {ANNOTATION_TOPOLOGY_MODE} instead"
        )
    headless = kind == "ClusterIP" and spec.get("clusterIP") == servicerules.HEADLESS
    ignored = (
        ("spec.loadBalancerIP", bool(spec.get("loadBalancerIP"))),
        ("spec.externalIPs", bool(spec.get("externalIPs"))),
        ("spec.SessionAffinity", spec.get("sessionAffinity") != "None"),
    )
    told += [f"{name} is ignored for headless services" for name, given in ignored if headless and given]
    if spec.get("externalIPs") and not headless:
        external = kind == "ExternalName"
        why = 'is ignored when spec.type is "ExternalName"' if external else ""
        told.append(f"spec.externalIPs {why or 'is deprecated and may no longer be implemented in some clusters'}")
    if kind != "ExternalName" and spec.get("externalName"):
        told.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        told.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return told


def selectable(service: Object) -> Mapping[str, str]:
    """Address and type."""
    spec = service.get("spec") or {}
    return {"spec.clusterIP": spec.get("clusterIP") or "", "spec.type": spec.get("type") or ""}


def _external(service: Object) -> str:
    spec = service.get("spec") or {}
    outside, kind = spec.get("externalIPs") or [], spec.get("type") or ""
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(outside) or "<none>"
    if kind == "ExternalName":
        return spec.get("externalName") or ""
    if kind != "LoadBalancer":
        return "<unknown>"
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balanced = sorted({i.get("ip") or i.get("hostname") or "" for i in ingress} - {""})
    return ",".join([*balanced, *outside]) or "<pending>"


def _port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol')}"


def row(service: Object, now: datetime) -> list[Any]:
    """The cells, the wide one included."""
    spec = service.get("spec") or {}
    return [
        service["metadata"]["name"],
        spec.get("type") or "",
        (spec.get("clusterIPs") or ["<none>"])[0],
        _external(service),
        ",".join(_port(port) for port in spec.get("ports") or ()) or "<none>",
        object_age(service, now),
        format_labels(spec.get("selector")),
    ]


RESOURCE = Resource(
    group="",
    version="v1",
    name="services",
    kind="Service",
    schema="io.k8s.api.core.v1.Service",
    returns_deleted=True,
    short_names=("svc",),
    categories=("all",),
    name_check="label",  # relaxed in 1.36
    status=True,
    subresources=("proxy",),
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    allow_create_on_update=True,
    validate=servicerules.validate,
    validate_update=servicerules.validate_update,
    warnings=warnings,
    validate_status=servicerules.validate_status,
    selectable=selectable,
    selectable_fields=("spec.clusterIP", "spec.type"),
    columns=(
        NAME,
        Column("Type"),
        Column("Cluster-IP"),
        Column("External-IP"),
        Column("Port(s)"),
        AGE,
        Column("Selector", priority=1),
    ),
    row=row,
)
