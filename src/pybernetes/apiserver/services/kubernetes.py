"""The Service `kubernetes`, by which pods find the API server: what it, its endpoints and the default range look like. Pure.

Upstream: pkg/controlplane/controller/kubernetesservice, defaultservicecidr; pkg/controlplane/reconcilers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pybernetes.api.times import parse_time
from pybernetes.api.wellknown import LABEL_SERVICE_NAME, LABEL_SKIP_MIRROR

from ..resource import Object
from .ranges import Network

NAME = "kubernetes"
PORT = 443
LEASE_SECONDS = 15.0  # upstream's: a server that does not renew for so long is taken out


def service(networks: Sequence[Network], secure_port: int) -> Object:
    """At the first address of the cluster's first range."""
    address = str(networks[0][1])
    return {
        "metadata": {"name": NAME, "labels": {"component": "apiserver", "provider": NAME}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": [f"IPv{networks[0].version}"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": PORT, "protocol": "TCP", "targetPort": secure_port}],
            "sessionAffinity": "None",
        },
    }


def endpoints(addresses: Sequence[str], port: int) -> Object:
    """Of the API servers that are up; nobody mirrors them into a slice, which is kept beside."""
    subset = {
        "addresses": [{"ip": address} for address in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    metadata = {"name": NAME, "labels": {LABEL_SKIP_MIRROR: "true"}}
    return {"metadata": metadata, "subsets": [subset] if addresses else []}


def endpoint_slice(addresses: Sequence[str], port: int) -> Object:
    """The same as a slice."""
    return {
        "metadata": {"name": NAME, "labels": {LABEL_SERVICE_NAME: NAME}},
        "addressType": "IPv6" if any(":" in address for address in addresses) else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def service_cidr(networks: Sequence[Network], now: str) -> Object:
    """The range of the command line."""
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": now,
    }
    return {
        "metadata": {"name": NAME},
        "spec": {"cidrs": [str(network) for network in networks]},
        "status": {"conditions": [condition]},
    }


def alive(leases: Iterable[Mapping[str, str]], now: datetime) -> list[str]:
    """Addresses of servers whose lease holds. A lease: `name` (the address) and `renewTime`."""
    limit = timedelta(seconds=LEASE_SECONDS)
    return sorted(lease["name"] for lease in leases if now - parse_time(lease["renewTime"]) < limit)
