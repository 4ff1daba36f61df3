"""flowcontrol.apiserver.k8s.io/v1alpha1 (until 1.21), v1beta1 to v1beta3 (until 1.26, 1.29, 1.32), in which shares have other names.

Upstream: pkg/apis/flowcontrol/{v1alpha1,v1beta1,v1beta2,v1beta3}/{conversion,defaults}.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import FieldError

from ...resource import Errors, Object, Resource
from ..versions import Family, family, older
from . import flowschema, prioritylevelconfiguration
from .prioritylevelconfiguration import SHARES

GROUP = "flowcontrol.apiserver.k8s.io"
HUB = f"{GROUP}/v1"
OLD_NAME, NAME = "assuredConcurrencyShares", "nominalConcurrencyShares"
# What v1beta3 cannot say by its fields: that nought shares are meant (upstream: PriorityLevelPreserveZeroConcurrencySharesKey).
ZERO = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
ASSURED = ("v1alpha1", "v1beta1", "v1beta2")


def _moved(level: Object, version: str, before: str, after: str) -> Object:
    spec = dict(level.get("spec") or {})
    limited = spec.get("limited")
    if limited is not None and before in limited:
        limited = dict(limited)
        limited[after] = limited.pop(before)
        spec["limited"] = limited
    return {**level, "apiVersion": version, "spec": spec}


def to_hub(level: Object) -> Object:
    """As v1."""
    return _moved(level, HUB, OLD_NAME, NAME)


def _from_hub(version: str) -> Any:
    def convert(level: Object) -> Object:
        converted = _moved(level, f"{GROUP}/{version}", NAME, OLD_NAME)
        return _alone(converted) if version == "v1alpha1" else converted

    return convert


def _alone(level: Object) -> Object:
    """In v1alpha1 a level neither lends nor borrows."""
    limited = level["spec"].get("limited")
    if limited is not None:
        kept = {
            name: value for name, value in limited.items() if name not in ("lendablePercent", "borrowingLimitPercent")
        }
        level["spec"] = {**level["spec"], "limited": kept}
    return level


def default_alpha(level: Object) -> None:
    """As the betas', with what v1alpha1 has."""
    default_old(level)
    level["spec"] = _alone(level)["spec"]


def default_old(level: Object) -> None:
    """As v1's, under the old name."""
    hub = to_hub(level)
    limited = (hub.get("spec") or {}).get("limited")
    if limited is not None:
        limited[NAME] = limited.get(NAME) or SHARES
    prioritylevelconfiguration.default(hub)
    level["spec"] = _moved(hub, "", NAME, OLD_NAME)["spec"]


def default_beta3(level: Object) -> None:
    """As v1's, but that nought shares are as good as unset, unless an annotation says otherwise."""
    annotations = (level.get("metadata") or {}).get("annotations") or {}
    limited = (level.get("spec") or {}).get("limited")
    if limited is not None and not limited.get(NAME) and ZERO not in annotations:
        limited[NAME] = SHARES
    prioritylevelconfiguration.default(level)


def from_beta3(level: Object) -> Object:
    """As v1."""
    metadata = dict(level["metadata"])
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != ZERO}
    if ZERO in (metadata.get("annotations") or {}):
        metadata.pop("annotations", None)
        metadata |= {"annotations": annotations} if annotations else {}
    return {**level, "apiVersion": HUB, "metadata": metadata}


def to_beta3(level: Object) -> Object:
    """As v1beta3."""
    limited = (level.get("spec") or {}).get("limited")
    if limited is None or limited.get(NAME) != 0:
        return {**level, "apiVersion": f"{GROUP}/v1beta3"}
    metadata = dict(level["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ZERO: ""}
    return {**level, "apiVersion": f"{GROUP}/v1beta3", "metadata": metadata}


def _named(errors: Errors) -> Errors:
    """With the old name of the shares, which must be more than nought."""
    return [
        FieldError(
            one.reason, one.field.replace(NAME, OLD_NAME), one.body.replace("a non-negative integer", "positive")
        )
        if one.field == f"spec.limited.{NAME}"
        else one
        for one in errors
    ]


def validate(level: Object) -> Errors:
    """As v1."""
    return _named(prioritylevelconfiguration.validate(to_hub(level)))


def validate_update(new: Object, old: Object) -> Errors:
    """As v1."""
    return validate(new)


def row(level: Object, now: datetime) -> list[Any]:
    """As v1's."""
    return prioritylevelconfiguration.row(to_hub(level), now)


def _level(version: str) -> Resource:
    defaults = default_alpha if version == "v1alpha1" else default_old
    changes = {"default": defaults, "validate": validate, "validate_update": validate_update, "row": row}
    return older(prioritylevelconfiguration.RESOURCE, f"flowcontrol.{version}", **changes)


def _schemas() -> Family:
    hub = flowschema.RESOURCE
    return family(hub, *(older(hub, f"flowcontrol.{version}") for version in (*ASSURED, "v1beta3")))


def _levels() -> Family:
    hub = prioritylevelconfiguration.RESOURCE
    beta3 = older(hub, "flowcontrol.v1beta3", default=default_beta3)
    functions = {(f"{GROUP}/v1beta3", HUB): from_beta3, (HUB, f"{GROUP}/v1beta3"): to_beta3}
    for version in ASSURED:
        functions |= {(f"{GROUP}/{version}", HUB): to_hub, (HUB, f"{GROUP}/{version}"): _from_hub(version)}
    return family(hub, *(_level(version) for version in ASSURED), beta3, functions=functions)


FAMILIES: tuple[Family, ...] = (_schemas(), _levels())
