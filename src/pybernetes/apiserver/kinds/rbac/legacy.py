"""rbac.authorization.k8s.io/v1beta1, v1alpha1 (until 1.22; upstream: pkg/apis/rbac/v1alpha1/{conversion,defaults}.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api.wellknown import ALL_AUTHENTICATED

from ...resource import Errors, Object, Resource
from ..versions import Family, Functions, family, older
from . import clusterrole, clusterrolebinding, role, rolebinding
from .rules import GROUP, default_binding

ALPHA, HUB = f"{GROUP}/v1alpha1", f"{GROUP}/v1"
ANYBODY = ALL_AUTHENTICATED  # whom v1alpha1 calls the user "*"
NAMED = ("User", "Group")


def default_alpha(binding: Object) -> None:
    """The role's group, and the subjects as they are read again."""
    ref = binding.setdefault("roleRef", {})
    ref["apiGroup"] = ref.get("apiGroup") or GROUP
    if binding.get("subjects") is not None:
        binding["subjects"] = [_from_hub(_to_hub(subject)) for subject in binding["subjects"]]


def _to_hub(subject: Mapping[str, Any]) -> dict[str, Any]:
    converted = {name: value for name, value in subject.items() if name != "apiVersion"}
    kind, version = subject.get("kind"), subject.get("apiVersion") or ""
    group = "" if kind == "ServiceAccount" else GROUP if kind in NAMED else version.rpartition("/")[0]
    if group:
        converted["apiGroup"] = group
    if kind == "User" and subject.get("name") == "*":
        converted |= {"kind": "Group", "name": ANYBODY}
    return converted


def _from_hub(subject: Mapping[str, Any]) -> dict[str, Any]:
    converted = {name: value for name, value in subject.items() if name != "apiGroup"}
    group, kind = subject.get("apiGroup") or "", subject.get("kind")
    if kind == "ServiceAccount" and not group:
        converted["apiVersion"] = "v1"
    elif kind in NAMED and group == GROUP:
        converted["apiVersion"] = ALPHA
    elif group:
        converted["apiVersion"] = f"{group}/"
    return converted


def _with_subjects(obj: Object, version: str, change: Any) -> Object:
    subjects = obj.get("subjects")
    more = {} if subjects is None else {"subjects": [change(subject) for subject in subjects]}
    return {**obj, **more, "apiVersion": version}


def from_alpha(binding: Object) -> Object:
    """As v1."""
    return _with_subjects(binding, HUB, _to_hub)


def to_alpha(binding: Object) -> Object:
    """As v1alpha1."""
    return _with_subjects(binding, ALPHA, _from_hub)


def _alpha(hub: Resource) -> Resource:
    def validate(binding: Object) -> Errors:
        return hub.validate(from_alpha(binding))

    def validate_update(new: Object, old: Object) -> Errors:
        return hub.validate_update(from_alpha(new), from_alpha(old))

    changes = {"validate": validate, "validate_update": validate_update}
    return older(hub, "rbac.v1alpha1", default=default_alpha, **changes)


SUBJECTS: Functions = {(ALPHA, HUB): from_alpha, (HUB, ALPHA): to_alpha}


def _roles(hub: Resource) -> Family:
    return family(hub, older(hub, "rbac.v1beta1"), older(hub, "rbac.v1alpha1"))


def _bindings(hub: Resource) -> Family:
    return family(hub, older(hub, "rbac.v1beta1", default=default_binding), _alpha(hub), functions=SUBJECTS)


FAMILIES: tuple[Family, ...] = (
    _bindings(clusterrolebinding.RESOURCE),
    _roles(clusterrole.RESOURCE),
    _bindings(rolebinding.RESOURCE),
    _roles(role.RESOURCE),
)
