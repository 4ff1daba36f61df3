"""Events between v1, in which they are stored, and events.k8s.io/v1, which has other names for the same
(upstream: pkg/apis/events/v1/conversion.go)."""

from __future__ import annotations

from ...conversion import ConversionTable, Version
from ...resource import Object

CORE, NEW = "v1", "events.k8s.io/v1"
# Field of events.k8s.io/v1 -> field of v1.
NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
BACK = {there: here for here, there in NAMES.items()}


def to_core(event: Object) -> Object:
    """As v1 stores it; what v1 always writes is there."""
    converted = {NAMES.get(name, name): value for name, value in event.items()}
    converted |= {"apiVersion": CORE, "kind": "Event"}
    for name, zero in (("reportingComponent", ""), ("reportingInstance", ""), ("source", {}), ("involvedObject", {})):
        converted.setdefault(name, zero)
    for name in ("eventTime", "firstTimestamp", "lastTimestamp"):
        converted.setdefault(name, None)
    return converted


def from_core(event: Object) -> Object:
    """As events.k8s.io has it."""
    converted = {BACK.get(name, name): value for name, value in event.items()}
    converted |= {"apiVersion": NEW, "kind": "Event"}
    for name in ("reportingController", "reportingInstance"):
        if not converted.get(name):
            converted.pop(name, None)
    return converted


CONVERSIONS = ConversionTable(
    kind="Event",
    hub=CORE,
    versions={CORE: Version("io.k8s.api.core.v1.Event"), NEW: Version("io.k8s.api.events.v1.Event")},
    functions={(NEW, CORE): to_core, (CORE, NEW): from_core},
)
