"""Where a webhook is: the URL and the address behind a client configuration (upstream: util/webhook/client.go, util/proxy). Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pybernetes.api.wellknown import LABEL_SERVICE_NAME

from ...resource import Object
from ...types import Reader
from .hooks import ClientConfig, ServiceReference


class Unresolved(Exception):
    """A Service that leads nowhere, in upstream's words."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`base` is `https://name:port` with the name that the certificate must have; `address` is where to connect, None: where `base` says."""

    base: str
    path: str
    address: tuple[str, int] | None = None
    ca: bytes = b""


def target(config: ClientConfig) -> tuple[str, str]:
    """(`https://host:port`, path) as upstream calls it, for requests and messages."""
    if config.service is None:
        url = urlsplit(config.url)
        return f"{url.scheme}://{url.netloc}", _joined(url.path)
    service = config.service
    return f"https://{service.name}.{service.namespace}.svc:{service.port}", _joined(service.path)


def _joined(path: str) -> str:
    """As client-go's requests have it (Go's path.Join): `//a/` is `/a`. envtest's URLs begin with two, and Go's servers redirect them."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def addresses(reader: Reader, reference: ServiceReference) -> list[tuple[str, int]]:
    """Where a Service is served: its ready endpoints, or where there are none what its type says. Unresolved.

    Upstream goes to the cluster IP unless --enable-aggregator-routing is set; endpoints are reached as well where no kube-proxy runs.
    """
    name, namespace, port = reference.name, reference.namespace, reference.port
    service = reader.get("", "services", namespace, name)
    if service is None:
        raise Unresolved(f'service "{name}" not found')
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return [(spec.get("externalName", ""), port)]
    for service_port in spec.get("ports") or ():
        if service_port.get("port") == port:
            break
    else:
        raise Unresolved(f'no service port {port} found for service "{name}"')
    addresses = [*_of_slices(reader, namespace, name, service_port.get("name", ""))]
    addresses = addresses or [
        *_of_endpoints(reader.get("", "endpoints", namespace, name), service_port.get("name", ""))
    ]
    if addresses:
        return addresses
    if spec.get("clusterIP") in (None, "", "None"):
        raise Unresolved(f'no endpoints available for service "{name}"')
    return [(spec["clusterIP"], port)]


def _of_slices(reader: Reader, namespace: str, name: str, port: str) -> Iterable[tuple[str, int]]:
    for endpoint_slice in reader.list("discovery.k8s.io", "endpointslices", namespace):
        labels = endpoint_slice["metadata"].get("labels") or {}
        if labels.get(LABEL_SERVICE_NAME) != name or endpoint_slice.get("addressType") == "FQDN":
            continue
        numbers = [
            p["port"] for p in endpoint_slice.get("ports") or () if (p.get("name") or "") == port and p.get("port")
        ]
        for endpoint in endpoint_slice.get("endpoints") or ():
            if numbers and (endpoint.get("conditions") or {}).get("ready") is not False:
                yield endpoint["addresses"][0], numbers[0]


def _of_endpoints(endpoints: Object | None, port: str) -> Iterable[tuple[str, int]]:
    for subset in (endpoints or {}).get("subsets") or ():
        numbers = [p["port"] for p in subset.get("ports") or () if (p.get("name") or "") == port]
        for address in subset.get("addresses") or ():
            if numbers:
                yield address["ip"], numbers[0]
