"""EndpointSlice."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds.discovery import endpointslice

from ..tables import fields, refusals

BASE: Any = {
    "metadata": {"name": "a"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [{"name": "", "protocol": "TCP", "port": 80}],
}


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, []),
        ({"addressType": None}, ["addressType Required"]),
        ({"addressType": "MAC"}, ["addressType NotSupported"]),
        ({"addressType": "IPv6"}, ["endpoints[0].addresses[0] Invalid"]),
        ({"endpoints": [{"addresses": []}]}, ["endpoints[0].addresses Required"]),
        ({"endpoints": [{"addresses": ["127.0.0.1"]}]}, ["endpoints[0].addresses[0] Invalid"]),
        ({"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001}, ["endpoints TooMany"]),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "hostname": "a.b"}]}, ["endpoints[0].hostname Invalid"]),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}]},
            ["endpoints[0].hints.forZones[1].name Duplicate"],
        ),
        ({"ports": BASE["ports"] * 2}, ["ports[1].name Duplicate"]),
        ({"ports": [{"name": "A", "protocol": "X"}]}, ["ports[0].name Invalid", "ports[0].protocol NotSupported"]),
    ],
)
def test_refused(change: Any, refused: list[str]) -> None:
    assert refusals(endpointslice.validate, BASE, change) == refused


def test_domains() -> None:
    for name, count in (("a.example.com", 0), ("a.example.com.", 0), ("localhost", 1), ("A_", 1)):
        made = {**BASE, "addressType": "FQDN", "endpoints": [{"addresses": [name]}]}
        assert len(endpointslice.validate(made)) == count


def test_the_type_stays_and_ports_have_names() -> None:
    other = {**BASE, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}]}
    assert fields(endpointslice.validate_update(other, BASE)) == ["addressType Invalid"]
    made: Any = {"ports": [{"port": 1}]}
    endpointslice.default(made)
    assert made["ports"] == [{"port": 1, "name": "", "protocol": "TCP"}]


def test_table() -> None:
    made = {**BASE, "ports": [{"port": n} for n in range(1, 6)], "endpoints": []}
    assert endpointslice.row(made, datetime(2026, 1, 1, tzinfo=UTC))[2:4] == ["1,2,3 + 2 more...", "<unset>"]
