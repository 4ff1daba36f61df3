"""The parts of a pod with paths of their own: ephemeral containers and resources in place (upstream: pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from typing import Any

from pybernetes.api.jsoncopy import json_copy

from ...resource import Object, Part
from . import podupdate

_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "managedFields")


def _as_before(new: Object, old: Object) -> Object:
    """Makes `new` the old pod, but who it says it is, and answers with the spec that was sent."""
    sent: Object = new.get("spec") or {}
    given = new.get("metadata") or {}
    kept = json_copy(old)
    for name in _IDENTITY:
        if name in given:
            kept["metadata"][name] = given[name]
    new.clear()
    new.update(kept)
    return sent


def prepare_ephemeral(new: Object, old: Object) -> None:
    """Nothing but the ephemeral containers."""
    containers = _as_before(new, old).get("ephemeralContainers")
    if containers:
        new["spec"]["ephemeralContainers"] = containers
    else:
        new["spec"].pop("ephemeralContainers", None)


def prepare_resize(new: Object, old: Object) -> None:
    """Nothing but resources and resize policies; other names or numbers of containers are left for validation to refuse."""
    sent = _as_before(new, old)
    for kind in ("containers", "initContainers"):
        if asked := sent.get(kind):
            new["spec"][kind] = _resized(asked, new["spec"].get(kind) or [])


def _resized(asked: list[Any], stored: list[Any]) -> list[Any]:
    if [c.get("name") for c in asked] != [c.get("name") for c in stored]:
        return asked
    resized = []
    for container, before in zip(asked, stored, strict=True):
        merged = {key: value for key, value in before.items() if key not in ("resources", "resizePolicy")}
        for key in ("resources", "resizePolicy"):
            if key in container:
                merged[key] = container[key]
        resized.append(merged)
    return resized


PARTS = {
    "ephemeralcontainers": Part(prepare_ephemeral, podupdate.validate_ephemeral_containers),
    "resize": Part(prepare_resize, podupdate.validate_resize),
}
