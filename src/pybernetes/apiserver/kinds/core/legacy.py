"""Ways of core/v1 that left with the old group-versions: seccomp annotations and fields in step (until 1.26)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...resource import Object
from ..versions import Family
from . import pod
from .profiles import KINDS, SECCOMP_CONTAINER, SECCOMP_POD, seccomp_field, seccomp_text


def prepare_create(obj: Object) -> None:
    """Of a new pod: each profile both ways (applySeccompVersionSkew)."""
    pod.prepare_create(obj)
    spec, annotations = obj["spec"], dict((obj["metadata"].get("annotations")) or {})
    holders: list[tuple[str, dict[str, Any]]] = [(SECCOMP_POD, spec)]
    for kind in KINDS:
        holders += [(SECCOMP_CONTAINER + (one.get("name") or ""), one) for one in spec.get(kind) or ()]
    for key, holder in holders:
        context = holder.get("securityContext") or {}
        profile, text = context.get("seccompProfile"), annotations.get(key)
        if profile is not None and text is None and seccomp_text(profile):
            annotations[key] = seccomp_text(profile)
        elif profile is None and text is not None and (meant := seccomp_field(text)):
            holder["securityContext"] = {**context, "seccompProfile": meant}
    if annotations:
        obj["metadata"]["annotations"] = annotations


FAMILIES: tuple[Family, ...] = ((replace(pod.RESOURCE, prepare_create=prepare_create, _cache={}),),)
