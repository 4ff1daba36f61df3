"""When an API server gets no connections, and when it gets them again."""

from __future__ import annotations

import pytest

from pybernetes.cluster.assembly.probing import (
    FORGIVING_LOOKS,
    FREE_FALLS,
    MAX_RISE,
    Health,
    after,
    out_of_service,
    rise,
)
from pybernetes.deploy.daemons.model import Host

MASTERS = tuple(Host(f"m{n}", f"10.0.0.1{n}") for n in (1, 2, 3))
WELL, UNWELL = Health(), Health(well=False)


@pytest.mark.parametrize(
    ("answers", "well"),
    [("", True), ("-", True), ("--", False), ("-+-", True), ("--+", False), ("--+-+", False), ("--++", True)],
)
def test_two_looks_are_believed(answers: str, well: bool) -> None:
    health = Health()
    for answer in answers:
        health = after(health, answer == "+")
    assert health.well is well


def changes(answers: str) -> int:
    """How often balancers are told."""
    health, count = Health(), 0
    for answer in answers:
        before, health = health, after(health, answer == "+")
        count += before.well is not health.well
    return count


def test_one_that_flaps_is_out_for_longer_and_longer() -> None:
    """Balancers are reloaded a few times, not for ever."""
    assert [rise(falls) for falls in range(9)] == [2, 2, 2, 2, 4, 8, 16, 32, 32]
    assert changes("--++" * 150) == 2 * FREE_FALLS + 1
    assert changes("--" + "-" * 600) == 1


def test_a_fall_of_long_ago_is_forgotten() -> None:
    health = Health()
    for _ in range(FREE_FALLS + 5):
        for answer in "--++" + "+" * FORGIVING_LOOKS:
            health = after(health, answer == "+")
        assert health.well and health.falls == 0


def test_a_server_is_back_in_the_end() -> None:
    """However often it has fallen."""
    health = Health(well=False, falls=10**9)
    for _ in range(MAX_RISE):
        assert not health.well
        health = after(health, True)
    assert health.well


@pytest.mark.parametrize(
    ("healths", "out"),
    [
        ({}, set()),  # nobody has looked yet
        ({"m1": WELL, "m2": UNWELL, "m3": WELL}, {"m2"}),
        ({"m1": UNWELL, "m2": UNWELL}, {"m1", "m2"}),
        ({"m1": UNWELL, "m2": UNWELL, "m3": UNWELL}, set()),  # as when etcd is away: reads still work
    ],
)
def test_somebody_always_gets_the_connections(healths: dict[str, Health], out: set[str]) -> None:
    assert out_of_service(MASTERS, healths) == out
