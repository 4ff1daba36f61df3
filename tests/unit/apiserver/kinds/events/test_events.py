"""Event of events.k8s.io, which v1 keeps."""

from typing import Any

import pytest

from pybernetes.apiserver.kinds.core import eventconversion
from pybernetes.apiserver.kinds.events import event

from ..tables import fields, refusals

BASE: Any = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "a", "namespace": "n"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "c.org/x",
    "reportingInstance": "i",
    "action": "A",
    "reason": "R",
    "type": "Normal",
    "note": "hello",
    "regarding": {"kind": "Pod", "name": "p", "namespace": "n"},
}


def test_there_and_back() -> None:
    stored = eventconversion.to_core(BASE)
    assert (stored["apiVersion"], stored["involvedObject"], stored["message"]) == ("v1", BASE["regarding"], "hello")
    assert stored["reportingComponent"] == "c.org/x"
    back = eventconversion.from_core(stored)
    assert {name: back[name] for name in BASE} == BASE
    fields = event.selectable(back)
    assert (fields["regarding.name"], fields["reportingController"], fields["source"]) == ("p", "c.org/x", "c.org/x")


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, []),
        ({"eventTime": None}, ["eventTime Required"]),
        ({"type": "Odd"}, ["type Invalid"]),
        (
            {"reportingController": None},
            ["reportingController Required", "reportingController Invalid", "reportingController Invalid"],
        ),
        ({"deprecatedCount": 1, "deprecatedSource": {"host": "h"}}, ["count Invalid", "source Invalid"]),
        ({"series": {"count": 1}}, ["series.count Invalid", "series.lastObservedTime Required"]),
    ],
)
def test_refused(change: Any, refused: list[str]) -> None:
    assert refusals(event.validate, BASE, change) == refused


def test_only_the_series_goes_on() -> None:
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
    assert event.validate_update({**BASE, "series": series}, BASE) == []
    assert fields(event.validate_update({**BASE, "note": "other"}, BASE)) == ["message Invalid"]
