"""Where Services lead to (upstream: internal/ingress/controller/endpointslices.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import networking_v1 as networking

from . import quoting
from .model import Key
from .quoting import Invalid


@dataclass(frozen=True, slots=True)
class Endpoints:
    """`servers` are HOST:PORT; `external` is that of a name which nginx looks up. `problem` says why there is nobody."""

    servers: tuple[str, ...] = ()
    external: str = ""
    port: str = ""  # the Service's, as names of upstreams have it
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """What is known of Services: themselves, and their slices."""

    services: Mapping[Key, core.Service]
    slices: Mapping[Key, Sequence[discovery.EndpointSlice]]
    external: bool = True  # upstream's --disable-svc-external-name is its opposite

    def endpoints(self, namespace: str, backend: networking.IngressServiceBackend, direct: bool) -> Endpoints:
        """`direct`: the Service's own address, where kube-proxy chooses (service-upstream)."""
        asked_port = backend.port.name or str(backend.port.number)
        service = self.services.get((namespace, backend.name))
        if service is None:
            return Endpoints(port=asked_port, problem=f"service {namespace}/{backend.name} does not exist")
        port = find_port(service, asked_port)
        if service.spec.type == "ExternalName":
            return self._external(service, port, backend.port.number)
        if port is None:
            return Endpoints(port=asked_port, problem=f"service {namespace}/{backend.name} has no port {asked_port}")
        try:
            if direct and service.spec.cluster_ip not in ("", "None"):
                return Endpoints((quoting.joined(service.spec.cluster_ip, port.port),), port=str(port.port))
            servers = ready(self.slices.get((namespace, backend.name), ()), port)
        except Invalid as error:
            return Endpoints(port=str(port.port), problem=f"service {namespace}/{backend.name}: {error}")
        return Endpoints(servers, port=str(port.port))

    def default(self, key: Key) -> Endpoints:
        """Of --default-backend-service: its first port, as upstream."""
        service = self.services.get(key)
        if service is None or not service.spec.ports:
            return Endpoints(
                problem=f"service {'/'.join(key)} of --default-backend-service does not exist, or has no port"
            )
        number = networking.ServiceBackendPort(number=service.spec.ports[0].port)
        return self.endpoints(key[0], networking.IngressServiceBackend(name=key[1], port=number), direct=False)

    def _external(self, service: core.Service, port: core.ServicePort | None, number: int) -> Endpoints:
        """A port that the Service does not name may be one of the host that it names."""
        title = f"service {service.metadata.namespace}/{service.metadata.name}"
        name = service.spec.external_name.lower().rstrip(".")
        target = number
        if port is not None:
            target = port.target_port if isinstance(port.target_port, int) and port.target_port else port.port
        if not self.external:
            return Endpoints(problem=f"{title} is of type ExternalName, which --disable-svc-external-name leaves out")
        if not 0 < target < 65536:
            return Endpoints(problem=f"{title} has no such port")
        try:
            return Endpoints((quoting.joined(name, target),), port=str(target))
        except Invalid:
            pass
        try:
            return Endpoints(external=f"{quoting.host(name)}:{target}", port=str(target))
        except Invalid as error:
            return Endpoints(port=str(target), problem=f"{title}: its external name {error}")


def find_port(service: core.Service, asked: str) -> core.ServicePort | None:
    """By number or name, else by the target's, as upstream."""
    ports = [port for port in service.spec.ports if port.protocol in ("", "TCP")]
    for port in ports:
        if asked in (str(port.port), port.name):
            return port
    return next((port for port in ports if asked == str(port.target_port)), None)


def ready(slices: Iterable[discovery.EndpointSlice], port: core.ServicePort) -> tuple[str, ...]:
    """In an order of their own, so that slices in another order are no change. Invalid."""
    servers = {
        quoting.joined(address, slice_port.port)
        for each in slices
        if each.address_type in ("IPv4", "IPv6")
        for slice_port in each.ports
        if slice_port.port and (slice_port.name or "") == port.name and (slice_port.protocol or "TCP") == "TCP"
        for endpoint in each.endpoints
        if endpoint.conditions.ready is not False
        for address in endpoint.addresses[:1]
    }
    return tuple(sorted(servers))
