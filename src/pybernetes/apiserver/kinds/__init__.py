"""The built-in kinds: one module each group-version folder, one `Resource` record each kind.

`RESOURCES` below is the whole table; a kind that is not in it does not exist. Modules hold pure functions only.
"""

from __future__ import annotations

from ..resource import Resource
from .admissionregistration import RESOURCES as ADMISSIONREGISTRATION
from .apiextensions import RESOURCES as APIEXTENSIONS
from .apiregistration import RESOURCES as APIREGISTRATION
from .apps import RESOURCES as APPS
from .authentication import RESOURCES as AUTHENTICATION
from .authorization import RESOURCES as AUTHORIZATION
from .autoscaling import RESOURCES as AUTOSCALING
from .batch import RESOURCES as BATCH
from .certificates import RESOURCES as CERTIFICATES
from .coordination import RESOURCES as COORDINATION
from .core import RESOURCES as CORE
from .discovery import RESOURCES as DISCOVERY
from .events import RESOURCES as EVENTS
from .flowcontrol import RESOURCES as FLOWCONTROL
from .networking import RESOURCES as NETWORKING
from .node import RESOURCES as NODE
from .policy import RESOURCES as POLICY
from .rbac import RESOURCES as RBAC
from .resource import RESOURCES as RESOURCE
from .scheduling import RESOURCES as SCHEDULING
from .storage import RESOURCES as STORAGE
from .storagemigration import RESOURCES as STORAGEMIGRATION

RESOURCES: tuple[Resource, ...] = (
    *CORE,
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
    *DISCOVERY,
    *EVENTS,
    *FLOWCONTROL,
    *NETWORKING,
    *NODE,
    *POLICY,
    *RBAC,
    *RESOURCE,
    *SCHEDULING,
    *STORAGE,
    *STORAGEMIGRATION,
)
