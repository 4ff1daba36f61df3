"""The built-in kinds: one module each group-version folder, one `Resource` record each kind.

`RESOURCES` below is the whole table; a kind that is not in it does not exist. Modules hold pure functions only.
"""

from __future__ import annotations

from ..resource import Resource
from .apps import RESOURCES as APPS
from .batch import RESOURCES as BATCH
from .core import RESOURCES as CORE
from .plain import RESOURCES as PLAIN

RESOURCES: tuple[Resource, ...] = (
    *CORE,
    *APPS,
    *BATCH,
    *PLAIN,
)
