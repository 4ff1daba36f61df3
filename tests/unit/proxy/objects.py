"""Service ports and objects for tests, with as few words as possible."""

from __future__ import annotations

from typing import Any

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.proxy.model import Endpoint, ServicePort


def port(name: str = "web", *ips: str, local: tuple[str, ...] = (), **fields: Any) -> ServicePort:
    values: dict[str, Any] = {
        "namespace": "px",
        "service": name,
        "name": "",
        "protocol": "tcp",
        "cluster_ip": "10.96.20.1",
        "port": 53,
        "node_port": 0,
        "external_ips": (),
        "ingress_ips": (),
        "source_ranges": (),
        "local_only": False,
        "internal_local": False,
        "affinity_seconds": 0,
        "health_port": 0,
        "endpoints": tuple(Endpoint(ip, 5353, ip in local) for ip in ips),
        "local_endpoints": tuple(Endpoint(ip, 5353, True) for ip in local),
    }
    return ServicePort(**{**values, **fields})


def service(name: str = "web", **spec: Any) -> core_v1.Service:
    body = {"metadata": {"name": name, "namespace": "px"}, "spec": {"ports": [{"port": 80}], **spec}}
    return types.decode(types.encode(body), core_v1.Service)


def slice_of(name: str, *endpoints: dict[str, Any], family: str = "IPv4") -> discovery_v1.EndpointSlice:
    body = {
        "metadata": {"name": f"{name}-1", "namespace": "px", "labels": {"kubernetes.io/service-name": name}},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }
    return types.decode(types.encode(body), discovery_v1.EndpointSlice)


def at(ip: str, node: str = "node1", zones: str = "", nodes: str = "", **conditions: bool) -> dict[str, Any]:
    """An endpoint; hints as words."""
    hints = {"forZones": [{"name": z} for z in zones.split()], "forNodes": [{"name": n} for n in nodes.split()]}
    return {"addresses": [ip], "nodeName": node, "conditions": conditions or {"ready": True}, "hints": hints}
