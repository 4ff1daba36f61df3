"""When an API server gets no connections, and when it gets them again."""

from __future__ import annotations

import pytest

from pybernetes.cluster.assembly.probing import Health, after, out_of_service
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
