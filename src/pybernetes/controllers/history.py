"""Writes ControllerRevisions (upstream: pkg/controller/history). What they hold is in `revisions`."""

from __future__ import annotations

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.owners import controlled_by
from pybernetes.api.types import apps_v1 as apps
from pybernetes.client.retry import retry_on_conflict
from pybernetes.client.types import Client

from .revisions import holds


class Collision(Exception):
    """The name is taken by a revision of another template: the collision count must be raised."""


async def create(
    client: Client, revision: apps.ControllerRevision, owner: apps.DaemonSet | apps.StatefulSet
) -> apps.ControllerRevision:
    """Creates, or finds what an earlier sync created. Collision, StatusError."""
    try:
        return await client.create(revision)
    except StatusError as error:
        if error.reason != "AlreadyExists":
            raise
    existing = await client.get(apps.ControllerRevision, revision.metadata.name, revision.metadata.namespace)
    if holds(existing, owner.spec.template) and controlled_by(existing, owner):
        return existing
    raise Collision(revision.metadata.name)


async def renumber(
    client: Client, revision: apps.ControllerRevision, number: int, clock: Clock
) -> apps.ControllerRevision:
    """With another number; tried again on a conflict."""

    async def write(current: apps.ControllerRevision) -> apps.ControllerRevision:
        if current.revision == number:
            return current
        return await client.update(msgspec.structs.replace(current, revision=number))

    meta = revision.metadata
    return await retry_on_conflict(
        write, revision, lambda: client.get(apps.ControllerRevision, meta.name, meta.namespace), clock
    )
