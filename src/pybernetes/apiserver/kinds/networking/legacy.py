"""Ingresses of extensions/v1beta1 and networking.k8s.io/v1beta1 (until 1.22), and what else these groups had.

Upstream: pkg/apis/{extensions,networking}/v1beta1/{conversion,defaults}.go; validation of both in pkg/apis/networking/validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.wellknown import ANNOTATION_INGRESS_CLASS

from ...conversion import Convert
from ...resource import Errors, Object, Resource
from ..versions import Family, family, older
from . import ingress, ingressclass, networkpolicy

HUB, BETA, EXTENSIONS = "networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1"
ANY_PATH = "ImplementationSpecific"


def default(obj: Object) -> None:
    """Paths mean what the controller makes of them."""
    for path in _paths(obj):
        if path.get("pathType") is None:
            path["pathType"] = ANY_PATH


def _paths(obj: Object) -> list[dict[str, Any]]:
    rules = (obj.get("spec") or {}).get("rules") or ()
    return [path for rule in rules for path in (rule.get("http") or {}).get("paths") or ()]


# --- conversions --------------------------------------------------------------------------------


def _backend_to_hub(backend: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    name, port = backend.get("serviceName") or "", backend.get("servicePort")
    if name or port not in (None, 0):
        number = {} if port in (None, "", 0) else {"name": port} if isinstance(port, str) else {"number": port}
        converted["service"] = {"name": name, "port": number}
    if backend.get("resource") is not None:
        converted["resource"] = backend["resource"]
    return converted


def _backend_from_hub(backend: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    service = backend.get("service")
    if service is not None:
        port = service.get("port") or {}
        if service.get("name"):
            converted["serviceName"] = service["name"]
        converted["servicePort"] = port.get("name") or port.get("number") or 0
    if backend.get("resource") is not None:
        converted["resource"] = backend["resource"]
        converted.setdefault("servicePort", 0)
    return converted


def _rules(rules: Any, change: Any) -> list[dict[str, Any]]:
    converted = []
    for rule in rules:
        http = rule.get("http")
        if http is not None and http.get("paths") is not None:
            paths = [{**path, "backend": change(path.get("backend") or {})} for path in http["paths"]]
            rule = {**rule, "http": {**http, "paths": paths}}
        converted.append(rule)
    return converted


def to_hub(obj: Object) -> Object:
    """As networking.k8s.io/v1."""
    spec = dict(obj.get("spec") or {})
    backend = spec.pop("backend", None)
    if backend is not None:
        spec["defaultBackend"] = _backend_to_hub(backend)
    if spec.get("rules") is not None:
        spec["rules"] = _rules(spec["rules"], _backend_to_hub)
    return {**obj, "apiVersion": HUB, "spec": spec}


def from_hub(version: str) -> Convert:
    """As one of the first versions."""

    def convert(obj: Object) -> Object:
        spec = dict(obj.get("spec") or {})
        backend = spec.pop("defaultBackend", None)
        if backend is not None:
            spec["backend"] = _backend_from_hub(backend)
        if spec.get("rules") is not None:
            spec["rules"] = _rules(spec["rules"], _backend_from_hub)
        return {**obj, "apiVersion": version, "spec": spec}

    return convert


# --- rules --------------------------------------------------------------------------------------


def validate(obj: Object) -> Errors:
    """As v1, under the names of this version."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    errors = validate_update(obj, {})
    if ANNOTATION_INGRESS_CLASS in annotations and (obj.get("spec") or {}).get("ingressClassName") is not None:
        at, why = Path("annotations") / ANNOTATION_INGRESS_CLASS, "can not be set when the class field is also set"
        errors.append(field.invalid(at, annotations[ANNOTATION_INGRESS_CLASS], why))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As v1, but for the names of Secrets, which were not looked at."""
    spec = to_hub(new).get("spec") or {}
    return [_renamed(error) for error in ingress.spec_errors(spec, any_secret=True)]


def _renamed(error: FieldError) -> FieldError:
    path = error.field
    for today, then in (
        ("defaultBackend", "backend"),
        ("backend.service.name", "backend.serviceName"),
        ("backend.service.port.number", "backend.servicePort"),
        ("backend.service.port.name", "backend.servicePort"),
    ):
        path = path.replace(today, then)
    return FieldError(error.reason, path, error.body.replace("`defaultBackend`", "`backend`"))


def row(obj: Object, now: datetime) -> list[Any]:
    """As v1's."""
    return ingress.row(to_hub(obj), now)


def _older(package: str, **changes: Any) -> Resource:
    own = {"default": default, "validate": validate, "validate_update": validate_update, "row": row}
    return older(ingress.RESOURCE, package, **(own | changes))


FAMILIES: tuple[Family, ...] = (
    family(
        ingress.RESOURCE,
        _older("networking.v1beta1"),
        _older("extensions.v1beta1", group="extensions"),
        functions={
            (BETA, HUB): to_hub,
            (EXTENSIONS, HUB): to_hub,
            (HUB, BETA): from_hub(BETA),
            (HUB, EXTENSIONS): from_hub(EXTENSIONS),
        },
    ),
    family(ingressclass.RESOURCE, older(ingressclass.RESOURCE, "networking.v1beta1")),
    family(networkpolicy.RESOURCE, older(networkpolicy.RESOURCE, "extensions.v1beta1", group="extensions")),
)
