"""events.k8s.io/v1beta1 (until 1.25): v1's fields, of which little is checked (upstream: core validation events.go)."""

from __future__ import annotations

from dataclasses import replace

from ...conversion import ConversionTable, Version
from ...resource import Errors, Object
from ..core import event as core
from ..core.eventconversion import CORE, NEW, from_core, to_core
from ..versions import Family, older
from . import event

OLD = "events.k8s.io/v1beta1"


def to_beta(stored: Object) -> Object:
    """As v1beta1."""
    return {**from_core(stored), "apiVersion": OLD}


def validate(obj: Object) -> Errors:
    """What holds for v1's events."""
    return [event.renamed(error) for error in core.validate(to_core(obj))]


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


TABLE = ConversionTable(
    kind="Event",
    hub=CORE,
    versions={
        CORE: Version("io.k8s.api.core.v1.Event"),
        NEW: Version("io.k8s.api.events.v1.Event"),
        OLD: Version("io.k8s.api.events.v1beta1.Event"),
    },
    functions={(NEW, CORE): to_core, (CORE, NEW): from_core, (OLD, CORE): to_core, (CORE, OLD): to_beta},
)
BETA = older(event.RESOURCE, "events.v1beta1", validate=validate, validate_update=validate_update)

FAMILIES: tuple[Family, ...] = (
    tuple(replace(one, conversions=TABLE, _cache={}) for one in (core.RESOURCE, event.RESOURCE, BETA)),
)
