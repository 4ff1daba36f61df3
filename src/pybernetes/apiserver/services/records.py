"""How addresses and node ports are kept, and what a Service has of them. Pure."""

from __future__ import annotations

from ..kinds.core.servicerules import HEADLESS, needs_health_port
from ..resource import Object

# Stored resources, (group, resource); the second is no kind: its keys alone say which port belongs to whom.
ADDRESSES = ("networking.k8s.io", "ipaddresses")
PORTS = ("ranges", "servicenodeports")
MANAGED_BY = "ipallocator.k8s.io"


def reference(service: Object) -> dict[str, str]:
    """Of an IPAddress to its Service (ParentReference)."""
    metadata = service["metadata"]
    return {"resource": "services", "namespace": metadata["namespace"], "name": metadata["name"]}


def refers(parent: Object | None, service: Object) -> bool:
    """Whether an IPAddress' parentRef is to the Service: an empty group may be left out."""
    return parent is not None and {"group": "", **parent} == {"group": "", **reference(service)}


def owner(service: Object) -> str:
    """Whom a node port belongs to."""
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def may_be_of(port: Object, service: Object) -> bool:
    """Whether a port's value names the service; where it names none (upstream's bitmap in etcd), nobody knows better."""
    return bool(port.get("service", owner(service)) == owner(service))


def own_addresses(spec: Object) -> list[str]:
    """The addresses that a stored service has."""
    if spec.get("type") == "ExternalName":
        return []
    return [address for address in spec.get("clusterIPs") or () if address != HEADLESS]


def own_ports(spec: Object) -> list[int]:
    """Its node ports, the one for health checks included."""
    numbers = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    if needs_health_port(spec) and spec.get("healthCheckNodePort"):
        numbers.append(spec["healthCheckNodePort"])
    return list(dict.fromkeys(numbers))


def allocates_ports(spec: Object) -> bool:
    """Whether ports without a number get one."""
    if spec.get("type") == "NodePort":
        return True
    return spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False


def usable(cidr: Object) -> bool:
    """A ServiceCIDR whose addresses may be given: ready, or nobody has said anything yet."""
    if cidr["metadata"].get("deletionTimestamp"):
        return False
    conditions = (cidr.get("status") or {}).get("conditions") or ()
    return all(c.get("status") == "True" for c in conditions if c.get("type") == "Ready")
