"""Many Services in a kernel's IPVS: what one changes costs as much among 5,000 as among 500, and a first sync grows as they do.

Prints a line of figures for each number of Services (benchmarks/README.md has some): seconds by the clock of a machine that is emulated, so only
their ratios say something.
"""

from __future__ import annotations

import statistics
import time

import pytest

from pybernetes.proxy.backends import Change
from pybernetes.proxy.model import ServicePort
from tests.guest.test_ipvs_state import Proxy, inside
from tests.netns.namespaces import Namespace
from tests.unit.proxy.objects import port

NUMBERS = (500, 1000, 2000, 5000)
ENDPOINTS, CHANGES, READINGS = 10, 5, 2


def numbered(number: int, first: int = 1) -> ServicePort:
    ips = [f"10.{128 + (number >> 8)}.{number & 255}.{first + each}" for each in range(ENDPOINTS)]
    return port(f"service-{number}", *ips, cluster_ip=f"10.96.{number >> 8}.{number & 255}", port=80)


async def measured(number: int) -> dict[str, float]:
    """Seconds of the first sync, of one changed endpoint, and of a reading of all of it."""
    proxy = Proxy()
    ports = [numbered(each) for each in range(number)]
    began = time.perf_counter()
    await proxy.sync(ports, reread=True)
    figures = {"first": time.perf_counter() - began}
    changes = []
    for turn in range(CHANGES):
        before, after = proxy.services["px", "service-7"], [numbered(7, 2 - turn % 2)]
        proxy.services["px", "service-7"] = after
        began = time.perf_counter()
        change = {("px", "service-7"): Change(before, after)}
        assert await proxy.backend.sync(change, proxy.services, proxy.options, reread=False)
        changes.append(time.perf_counter() - began)
    figures["change"] = statistics.median(changes)
    readings = []
    for _ in range(READINGS):
        began = time.perf_counter()
        assert await proxy.backend.sync({}, proxy.services, proxy.options, reread=True)
        readings.append(time.perf_counter() - began)
    figures["reading"] = min(readings)
    return figures


def test_a_change_costs_what_changed(node: Namespace, capsys: pytest.CaptureFixture[str]) -> None:
    figures: dict[int, dict[str, float]] = {}

    async def scenario(number: int) -> None:
        figures[number] = await measured(number)

    for number in NUMBERS:
        inside(node, lambda number=number: scenario(number))  # type: ignore[misc]
        with capsys.disabled():
            words = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in figures[number].items())
            print(f"\nipvs with {number} Services of {ENDPOINTS} endpoints: {words}", flush=True)
    fewest, most = figures[NUMBERS[0]], figures[NUMBERS[-1]]
    assert most["change"] < 3 * fewest["change"]
    assert most["first"] / NUMBERS[-1] < 3 * fewest["first"] / NUMBERS[0]
