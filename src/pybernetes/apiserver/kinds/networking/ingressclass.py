"""IngressClass of networking.k8s.io/v1 (upstream: pkg/apis/networking, pkg/registry/networking/ingressclass)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import dns_label, domain_prefixed_path, immutable
from .ingress import local_reference

SPEC = Path("spec")
MAX_CONTROLLER = 250
SCOPES = ("Cluster", "Namespace")


def default(ingress_class: Object) -> None:
    """Parameters are cluster-scoped."""
    parameters = (ingress_class.get("spec") or {}).get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def validate(ingress_class: Object) -> Errors:
    """ValidateIngressClass."""
    spec = ingress_class.get("spec") or {}
    controller, at = spec.get("controller") or "", SPEC / "controller"
    errors = [field.too_long(at, MAX_CONTROLLER)] if len(controller.encode()) > MAX_CONTROLLER else []
    errors += domain_prefixed_path(at, controller)
    if (parameters := spec.get("parameters")) is not None:
        errors += _parameters(SPEC / "parameters", parameters)
    return errors


def _parameters(path: Path, parameters: Mapping[str, Any]) -> Errors:
    errors = local_reference(path, parameters)
    scope, namespace, at = parameters.get("scope"), parameters.get("namespace"), path / "namespace"
    if scope is None:
        errors.append(field.required(path / "scope"))
    elif scope not in SCOPES:
        errors.append(field.not_supported(path / "scope", scope, SCOPES))
    if scope == "Namespace":
        if namespace is None:
            errors.append(field.required(at, "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += dns_label(at, namespace)
    elif scope == "Cluster" and namespace is not None:
        errors.append(field.forbidden(at, "`parameters.scope` is set to 'Cluster'"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The controller stays."""
    after, before = ((o.get("spec") or {}).get("controller") or "" for o in (new, old))
    return immutable(SPEC / "controller", after, before) + validate(new)


def row(ingress_class: Object, now: datetime) -> list[Any]:
    """Name, Controller, Parameters, Age."""
    spec = ingress_class.get("spec") or {}
    parameters, shown = spec.get("parameters"), "<none>"
    if parameters is not None:
        group = parameters.get("apiGroup")
        kind = parameters.get("kind") or ""
        shown = f"{kind if group is None else f'{kind}.{group}'}/{parameters.get('name') or ''}"
    name = ingress_class["metadata"]["name"]
    return [name, spec.get("controller") or "", shown, object_age(ingress_class, now)]


RESOURCE = Resource(
    group="networking.k8s.io",
    version="v1",
    name="ingressclasses",
    kind="IngressClass",
    schema="io.k8s.api.networking.v1.IngressClass",
    namespaced=False,
    default=default,
    validate=validate,
    validate_update=validate_update,
    columns=(
        NAME,
        Column("Controller", description="Controller that is responsible for handling this class"),
        Column("Parameters", description="A reference to a resource with additional parameters"),
        AGE,
    ),
    row=row,
)
