"""Ranges of service addresses that go, and claims that grow."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import networking_v1 as networking
from pybernetes.controllers.servicecidrs.plan import may_go, ready_condition
from pybernetes.controllers.volume.expand.plan import grows

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cidr(*networks: str, ready: str = "True", deleting: bool = False) -> networking.ServiceCIDR:
    return networking.ServiceCIDR(
        metadata=meta.ObjectMeta(deletion_timestamp=NOW if deleting else None),
        spec=networking.ServiceCIDRSpec(cidrs=list(networks)),
        status=networking.ServiceCIDRStatus(conditions=[meta.Condition(type="Ready", status=ready)]),
    )


SMALL = "10.0.0.0/24"


@pytest.mark.parametrize(
    ("others", "addresses", "expected"),
    [
        ([], [], True),
        ([], ["10.0.0.1"], False),
        ([], ["10.1.0.1", "fd00::1"], True),
        ([cidr("10.0.0.0/16")], ["10.0.0.1"], True),
        ([cidr("10.0.0.0/16", ready="False")], ["10.0.0.1"], False),
        ([cidr("10.0.0.0/16", deleting=True)], ["10.0.0.1"], False),
        ([cidr("10.0.0.0/25")], ["10.0.0.1"], True),
        ([cidr("10.0.0.0/25")], ["10.0.0.200"], False),
        ([cidr("fd00::/64")], ["10.0.0.1"], False),
    ],
)
def test_a_range_goes_when_its_addresses_lie_in_others(
    others: list[networking.ServiceCIDR], addresses: list[str], expected: bool
) -> None:
    assert may_go(cidr(SMALL), others, map(ipaddress.ip_address, addresses)) is expected


def test_both_families_must_be_free() -> None:
    both = cidr(SMALL, "fd00::/64")
    assert not may_go(both, [cidr("10.0.0.0/8")], [ipaddress.ip_address("fd00::1")])
    assert may_go(both, [cidr("10.0.0.0/8")], [ipaddress.ip_address("10.0.0.1")])


def test_the_condition_moves_with_its_status_alone() -> None:
    first = ready_condition([], "True", "", "m", NOW)
    assert first is not None and first.last_transition_time == NOW
    assert ready_condition([first], "True", "", "m", NOW) is None
    later = NOW + timedelta(minutes=1)
    second = ready_condition([first], "False", "Terminating", "n", later)
    assert second is not None and second.last_transition_time == later
    third = ready_condition([second], "False", "Terminating", "o", later + timedelta(minutes=1))
    assert third is not None and third.last_transition_time == later


def test_grows() -> None:
    claim = core.PersistentVolumeClaim()
    claim.spec.resources.requests = {"storage": Quantity.parse("2Gi")}
    claim.status.capacity = {"storage": Quantity.parse("1Gi")}
    assert not grows(claim)
    claim.status.phase = "Bound"
    assert grows(claim)
    claim.status.capacity = {"storage": Quantity.parse("2Gi")}
    assert not grows(claim)
