"""The group-versions of 1.17 to 1.24 that later left; imported only where --runtime-config asks for one.

Each group's `legacy.py` has `FAMILIES`: a kind's record of today with those of its old versions, the former first, all with one
table of conversions; or the record of a kind that has left altogether.
"""

from __future__ import annotations

import functools
from dataclasses import replace

from ..resource import Resource
from ..schema import load_legacy
from .admissionregistration.legacy import FAMILIES as ADMISSIONREGISTRATION
from .apiextensions.legacy import FAMILIES as APIEXTENSIONS
from .apiregistration.legacy import FAMILIES as APIREGISTRATION
from .apps.legacy import FAMILIES as APPS
from .authentication.legacy import FAMILIES as AUTHENTICATION
from .authorization.legacy import FAMILIES as AUTHORIZATION
from .autoscaling.legacy import FAMILIES as AUTOSCALING
from .batch.legacy import FAMILIES as BATCH
from .certificates.legacy import FAMILIES as CERTIFICATES
from .coordination.legacy import FAMILIES as COORDINATION
from .core.legacy import FAMILIES as CORE
from .discovery.legacy import FAMILIES as DISCOVERY
from .events.legacy import FAMILIES as EVENTS
from .flowcontrol.legacy import FAMILIES as FLOWCONTROL
from .networking.legacy import FAMILIES as NETWORKING
from .node.legacy import FAMILIES as NODE
from .policy.legacy import FAMILIES as POLICY
from .rbac.legacy import FAMILIES as RBAC
from .scheduling.legacy import FAMILIES as SCHEDULING
from .storage.legacy import FAMILIES as STORAGE
from .versions import Family

FAMILIES: tuple[Family, ...] = (
    *ADMISSIONREGISTRATION,
    *APIEXTENSIONS,
    *APIREGISTRATION,
    *APPS,
    *AUTHENTICATION,
    *AUTHORIZATION,
    *AUTOSCALING,
    *BATCH,
    *CERTIFICATES,
    *COORDINATION,
    *CORE,
    *DISCOVERY,
    *EVENTS,
    *FLOWCONTROL,
    *NETWORKING,
    *NODE,
    *POLICY,
    *RBAC,
    *SCHEDULING,
    *STORAGE,
)


@functools.cache
def resources() -> tuple[Resource, ...]:
    """All records of the families; old ones say in each answer that they are deprecated, and since when."""
    old = load_legacy()
    told = {name: str(definition.get("x-deprecated", "")) for name, definition in old.items()}
    return tuple(
        replace(one, deprecated=told.get(one.schema, ""), _cache={}) if one.schema in told else one
        for members in FAMILIES
        for one in members
    )
