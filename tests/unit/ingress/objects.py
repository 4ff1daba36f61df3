"""Ingresses and what they speak of, short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1, networking_v1
from pybernetes.ingress import certificates
from pybernetes.ingress.backends import Services
from pybernetes.ingress.model import Configuration, Location
from pybernetes.ingress.plan import World
from pybernetes.pki.certificates import self_signed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FALLBACK = certificates.fake(NOW)
PREFIX = "nginx.ingress.kubernetes.io/"


def backend(service: str = "web", port: int | str = 80) -> dict[str, Any]:
    return {"service": {"name": service, "port": {"name" if isinstance(port, str) else "number": port}}}


def path(text: str, kind: str = "Prefix", service: str = "web", port: int | str = 80) -> dict[str, Any]:
    return {"path": text, "pathType": kind, "backend": backend(service, port)}


def ingress(
    name: str,
    *paths: Mapping[str, Any],
    host: str = "a.example",
    made: str = "2026-01-01T00:00:00Z",
    annotations: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    **spec: Any,
) -> networking_v1.Ingress:
    """Annotations are without their prefix."""
    meta = {
        "name": name,
        "namespace": "default",
        "creationTimestamp": made,
        "annotations": {PREFIX + key: value for key, value in (annotations or {}).items()} | dict(metadata or {}),
    }
    rules = [{"host": host, "http": {"paths": list(paths)}}] if paths else []
    return types.decode(types.encode({"metadata": meta, "spec": {"rules": rules, **spec}}), networking_v1.Ingress)


def service(name: str = "web", **spec: Any) -> core_v1.Service:
    ports = [{"port": 80, "name": "http", "protocol": "TCP", "targetPort": 8080}]
    whole = {"ports": ports, "clusterIP": "10.96.0.7", "type": "ClusterIP", **spec}
    return types.decode(
        types.encode({"metadata": {"name": name, "namespace": "default"}, "spec": whole}), core_v1.Service
    )


def slice_of(
    name: str = "web", addresses: Sequence[str] = ("10.244.0.5",), **endpoint: Any
) -> discovery_v1.EndpointSlice:
    whole = {
        "metadata": {"name": f"{name}-1", "namespace": "default"},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [each], **endpoint} for each in addresses],
    }
    return types.decode(types.encode(whole), discovery_v1.EndpointSlice)


def secret(name: str, host: str = "a.example", **data: bytes) -> core_v1.Secret:
    pair = self_signed("test", [host], [], NOW)
    found = core_v1.Secret(data=data or {"tls.crt": pair.certificate, "tls.key": pair.key})
    found.metadata.namespace, found.metadata.name = "default", name
    return found


def world(
    *ingresses: networking_v1.Ingress,
    services: Sequence[core_v1.Service] | None = None,
    slices: Mapping[str, Sequence[discovery_v1.EndpointSlice]] | None = None,
    secrets: Sequence[core_v1.Secret] = (),
    **others: Any,
) -> World:
    """Services web and shop with an endpoint each, where nothing else is said."""
    if services is None:
        services, slices = [service("web"), service("shop")], {"web": [slice_of("web")], "shop": [slice_of("shop")]}
    return World(
        list(ingresses),
        Services(
            {(each.metadata.namespace, each.metadata.name): each for each in services},
            {("default", name): each for name, each in (slices or {}).items()},
        ),
        {(each.metadata.namespace, each.metadata.name): each for each in secrets},
        FALLBACK,
        **others,
    )


def locations(configuration: Configuration, host: str = "a.example") -> dict[str, Location]:
    """By "= /path"."""
    server = next(each for each in configuration.servers if each.name == host)
    return {f"{each.modifier} {each.path}".strip(): each for each in server.locations}


def problems(configuration: Configuration) -> list[str]:
    return [f"{each.ingress[1]}: {each.reason}: {each.text}" for each in configuration.problems]
