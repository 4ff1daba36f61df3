"""apps/v1beta1, v1beta2 and the workloads of extensions/v1beta1 (until 1.16; upstream: pkg/apis/{apps/v1beta1,apps/v1beta2,extensions/v1beta1}).

What of them has no field in apps/v1 stands in annotations there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api.strconv import NumberError, parse_int

from ...conversion import Convert
from ...resource import Errors, Object, Resource
from ..core.poddefaults import default_template
from ..versions import Family, family, older, renamed
from . import controllerrevision, daemonset, deployment, replicaset, statefulset
from .daemonset import GENERATION

EXTENSIONS, BETA1, BETA2 = "extensions.v1beta1", "apps.v1beta1", "apps.v1beta2"
NO_LIMIT = 2**31 - 1  # of revisions kept and of seconds to a deadline, before there were better defaults
ROLLBACK = "deprecated.deployment.rollback.to"  # a field of spec in the first versions


# --- defaults -----------------------------------------------------------------------------------


def _from_template(obj: Object) -> None:
    """The template's labels are the selector, and the object's own, where nothing else is said."""
    spec = obj.setdefault("spec", {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels is None:
        return
    if spec.get("selector") is None:
        spec["selector"] = {"matchLabels": dict(labels)}
    metadata = obj.setdefault("metadata", {})
    if not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def _unset(spec: Object, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if spec.get(name) is None:
            spec[name] = value


def default_extensions_deployment(obj: Object) -> None:
    """One pod more or less at a time, and no limits."""
    _from_template(obj)
    spec = obj["spec"]
    _unset(spec, {"revisionHistoryLimit": NO_LIMIT, "progressDeadlineSeconds": NO_LIMIT})
    strategy = spec.setdefault("strategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        if strategy.get("rollingUpdate") is None:
            strategy["rollingUpdate"] = {}
        _unset(strategy["rollingUpdate"], {"maxUnavailable": 1, "maxSurge": 1})
    deployment.default(obj)


def default_beta1_deployment(obj: Object) -> None:
    """Two revisions are kept."""
    _from_template(obj)
    _unset(obj["spec"], {"revisionHistoryLimit": 2})
    deployment.default(obj)


def default_extensions_daemonset(obj: Object) -> None:
    """Pods are replaced when somebody deletes them."""
    _from_template(obj)
    strategy = obj["spec"].setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or "OnDelete"
    daemonset.default(obj)


def default_extensions_replicaset(obj: Object) -> None:
    """As a deployment."""
    _from_template(obj)
    replicaset.default(obj)


def default_beta1_statefulset(obj: Object) -> None:
    """Pods are replaced when somebody deletes them."""
    spec = obj.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    _from_template(obj)
    strategy = spec.setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or "OnDelete"
    statefulset.default(obj)


# --- conversions --------------------------------------------------------------------------------


def _number(text: str) -> int | None:
    try:
        return parse_int(text)
    except NumberError:
        return None


def _into_annotation(name: str, number: int | None, obj: Object, spec: Object, version: str) -> Object:
    metadata = dict(obj.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != name}
    if number is not None:
        annotations[name] = str(number)
    return {
        **obj,
        "apiVersion": version,
        "metadata": metadata | ({"annotations": annotations} if annotations else {}),
        "spec": spec,
    }


def _out_of_annotation(name: str, obj: Object, version: str) -> tuple[Object, int | None]:
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    number = _number(annotations.get(name) or "")
    if number is not None:
        del annotations[name]
        metadata.pop("annotations")
        metadata |= {"annotations": annotations} if annotations else {}
    return {**obj, "apiVersion": version, "metadata": metadata, "spec": dict(obj.get("spec") or {})}, number


def deployment_to_hub(obj: Object) -> Object:
    """As apps/v1: the revision to go back to is an annotation."""
    spec = dict(obj.get("spec") or {})
    to = spec.pop("rollbackTo", None)
    number = None if to is None else to.get("revision") or 0
    return _into_annotation(ROLLBACK, number, obj, spec, "apps/v1")


def deployment_from_hub(version: str) -> Convert:
    """As the first versions: the revision to go back to is a field."""

    def convert(obj: Object) -> Object:
        converted, number = _out_of_annotation(ROLLBACK, obj, version)
        if number is not None:
            converted["spec"]["rollbackTo"] = {"revision": number} if number else {}
        return converted

    return convert


def daemonset_to_hub(obj: Object) -> Object:
    """As apps/v1: the generation of the template is an annotation."""
    spec = dict(obj.get("spec") or {})
    return _into_annotation(GENERATION, spec.pop("templateGeneration", None) or 0, obj, spec, "apps/v1")


def daemonset_from_hub(obj: Object) -> Object:
    """As extensions/v1beta1."""
    converted, number = _out_of_annotation(GENERATION, obj, "extensions/v1beta1")
    if number:
        converted["spec"]["templateGeneration"] = number
    return converted


# --- rules --------------------------------------------------------------------------------------


def _selector_moves(validate: Any) -> Any:
    """In the first versions the selector may be changed."""

    def validate_update(new: Object, old: Object) -> Errors:
        return list(validate(new))

    return validate_update


def prepare_daemonset(daemons: Object) -> None:
    """As apps/v1's, whose annotation is a field here."""
    hub = daemonset_to_hub(daemons)
    daemonset.prepare_create(hub)
    converted = daemonset_from_hub(hub)
    daemons.update(metadata=converted["metadata"], spec=converted["spec"], status=converted["status"])


def prepare_daemonset_update(new: Object, old: Object) -> None:
    """As apps/v1's."""
    hub = daemonset_to_hub(new)
    daemonset.prepare_update(hub, daemonset_to_hub(old))
    converted = daemonset_from_hub(hub)
    new.update(metadata=converted["metadata"], spec=converted["spec"])
    if "status" in converted:
        new["status"] = converted["status"]


def _extensions(hub: Resource, **changes: Any) -> Resource:
    moves = {"validate_update": _selector_moves(hub.validate), "scale_version": "extensions/v1beta1"}
    # In no category: `kubectl get all` would list each object once more, for it asks each group that has one.
    return older(hub, EXTENSIONS, group="extensions", categories=(), **(moves | changes))


def _families() -> tuple[Family, ...]:
    versions = ("extensions/v1beta1", "apps/v1beta1")
    rollbacks = {("apps/v1", version): deployment_from_hub(version) for version in versions}
    rollbacks |= {(version, "apps/v1"): deployment_to_hub for version in versions}
    back = {"subresources": ("rollback",)}
    scales1, scales2 = ({"scale_version": f"apps/{version}"} for version in ("v1beta1", "v1beta2"))
    moves = _selector_moves(deployment.validate)
    deployments = family(
        deployment.RESOURCE,
        older(deployment.RESOURCE, BETA2, **scales2),
        older(deployment.RESOURCE, BETA1, default=default_beta1_deployment, validate_update=moves, **back, **scales1),
        _extensions(deployment.RESOURCE, default=default_extensions_deployment, **back),
        functions=rollbacks,
    )
    daemonsets = family(
        daemonset.RESOURCE,
        older(daemonset.RESOURCE, BETA2),
        _extensions(
            daemonset.RESOURCE,
            default=default_extensions_daemonset,
            prepare_create=prepare_daemonset,
            prepare_update=prepare_daemonset_update,
        ),
        functions={
            ("extensions/v1beta1", "apps/v1"): daemonset_to_hub,
            ("apps/v1", "extensions/v1beta1"): daemonset_from_hub,
            ("apps/v1beta2", "apps/v1"): renamed("apps/v1"),
        },
    )
    replicasets = family(
        replicaset.RESOURCE,
        older(replicaset.RESOURCE, BETA2, **scales2),
        _extensions(replicaset.RESOURCE, default=default_extensions_replicaset),
    )
    statefulsets = family(
        statefulset.RESOURCE,
        older(statefulset.RESOURCE, BETA2, **scales2),
        older(statefulset.RESOURCE, BETA1, default=default_beta1_statefulset, **scales1),
    )
    revisions = controllerrevision.RESOURCE
    return (
        deployments,
        daemonsets,
        replicasets,
        statefulsets,
        family(revisions, older(revisions, BETA2), older(revisions, BETA1)),
    )


FAMILIES: tuple[Family, ...] = _families()
