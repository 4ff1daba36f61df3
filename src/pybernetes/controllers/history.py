"""Templates kept as ControllerRevisions (upstream: pkg/controller/history, pkg/controller/daemon/update.go); the first half is pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pybernetes.api import types
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.retry import retry_on_conflict
from pybernetes.client.types import Client

from .common import controlled_by, controller_ref, template_hash

NAME_LENGTH = 223  # of the owner in the name of a revision


def data_of(template: core.PodTemplateSpec) -> dict[str, Any]:
    """The patch that brings an object back to the template."""
    content: dict[str, Any] = msgspec.json.decode(types.encode(template))
    return {"spec": {"template": {**content, "$patch": "replace"}}}


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


def new_revision(owner: apps.DaemonSet | apps.StatefulSet, label: str, number: int) -> apps.ControllerRevision:
    """The revision of the owner's template; its hash stands in the name and under the label."""
    template = owner.spec.template
    hashed = template_hash(template, owner.status.collision_count)
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


class Collision(Exception):
    """The name is taken by a revision of another template: the collision count must be raised."""


async def create(
    client: Client, wanted: apps.ControllerRevision, owner: apps.DaemonSet | apps.StatefulSet
) -> apps.ControllerRevision:
    """Creates, or finds what an earlier sync created. Collision, StatusError."""
    try:
        return await client.create(wanted)
    except StatusError as error:
        if error.reason != "AlreadyExists":
            raise
    found = await client.get(apps.ControllerRevision, wanted.metadata.name, wanted.metadata.namespace)
    if holds(found, owner.spec.template) and controlled_by(found, owner):
        return found
    raise Collision(wanted.metadata.name)


async def renumber(client: Client, revision: apps.ControllerRevision, number: int) -> apps.ControllerRevision:
    """With another number; tried again on a conflict."""

    async def write(current: apps.ControllerRevision) -> apps.ControllerRevision:
        if current.revision == number:
            return current
        return await client.update(msgspec.structs.replace(current, revision=number))

    meta = revision.metadata
    return await retry_on_conflict(
        write, revision, lambda: client.get(apps.ControllerRevision, meta.name, meta.namespace)
    )
