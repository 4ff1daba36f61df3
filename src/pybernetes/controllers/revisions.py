"""What ControllerRevisions hold; pure (upstream: pkg/controller/history, getPatch of pkg/controller/{daemon,statefulset}).

Upstream's controllers find a revision by the bytes of its data. These must be as Go writes them, so that a controller manager of theirs
that takes over from this one finds the revisions that there are, and rolls no pod again.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pybernetes.api import types
from pybernetes.api.gojson import escaped
from pybernetes.api.owners import controller_ref
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from .common import safe_encode

NAME_LENGTH = 223  # of the owner in the name of a revision
EXACT = 2**53  # the patch goes through a map of any, whose numbers are float64: larger ones lose digits


def data_of(template: core.PodTemplateSpec) -> dict[str, Any]:
    """The patch that brings an object back to the template, keys in Go's order: sorted (getPatch)."""
    content = msgspec.json.decode(types.encode(template))
    patch = {"spec": {"template": {**_as_floats(content), "$patch": "replace"}}}
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(patch, order="deterministic"))
    return result


def _as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    if isinstance(value, int) and abs(value) > EXACT:
        return int(Decimal(repr(float(value))))  # the shortest digits that mean the same float, then zeros
    return value


def template_in(revision: apps.ControllerRevision) -> core.PodTemplateSpec | None:
    """The template that a revision holds, None if it holds something else."""
    try:
        content = dict(revision.data["spec"]["template"])
    except (KeyError, TypeError):
        return None
    content.pop("$patch", None)
    return types.decode(msgspec.json.encode(content), core.PodTemplateSpec)


def holds(revision: apps.ControllerRevision, template: core.PodTemplateSpec) -> bool:
    """Whether a revision is of this template."""
    return template_in(revision) == template


def revision_hash(data: Any, collision_count: int | None) -> str:
    """history.HashControllerRevision of what `data_of` made: FNV-1 (32 bit) over the data's bytes and, as decimal text, the count of collisions."""
    value = 0x811C9DC5
    for byte in escaped(msgspec.json.encode(data)) + str(collision_count or 0).encode():
        value = value * 0x01000193 & 0xFFFFFFFF ^ byte
    return safe_encode(str(value))


def new_revision(
    owner: apps.DaemonSet | apps.StatefulSet, label: str, hashed: str, number: int
) -> apps.ControllerRevision:
    """The revision of the owner's template; its hash stands in the name and under the label."""
    template = owner.spec.template
    return apps.ControllerRevision(
        metadata=meta.ObjectMeta(
            name=f"{owner.metadata.name[:NAME_LENGTH]}-{hashed}",
            namespace=owner.metadata.namespace,
            labels={**template.metadata.labels, label: hashed},
            annotations=dict(owner.metadata.annotations),
            owner_references=[controller_ref(owner)],
        ),
        data=data_of(template),
        revision=number,
    )


def by_number(revisions: Sequence[apps.ControllerRevision]) -> list[apps.ControllerRevision]:
    """Oldest first; of the same number the older object, then by name."""

    def key(revision: apps.ControllerRevision) -> tuple[int, float, str]:
        created = revision.metadata.creation_timestamp
        return revision.revision, created.timestamp() if created is not None else 0.0, revision.metadata.name

    return sorted(revisions, key=key)
