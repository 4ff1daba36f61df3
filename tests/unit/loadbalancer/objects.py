"""Short Services and Nodes."""

from __future__ import annotations

from typing import Any

from pybernetes.api import types
from pybernetes.api.types import core_v1 as core


def service(name: str, *ingress: str, finalizers: tuple[str, ...] = (), **spec: Any) -> core.Service:
    """Of namespace default, port 80."""
    fields = {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], "ipFamilies": ["IPv4"], **spec}
    body = {
        "metadata": {"name": name, "namespace": "default", "finalizers": list(finalizers)},
        "spec": fields,
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in ingress]}},
    }
    return types.decode(types.encode(body), core.Service)


def node(name: str, address: str, ready: str = "True", **labels: str) -> core.Node:
    body = {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }
    return types.decode(types.encode(body), core.Node)
