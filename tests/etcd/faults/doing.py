"""Does what is planned to a cluster, and undoes it."""

from __future__ import annotations

import asyncio
import logging
import signal

from .cluster import Cluster
from .plan import LEADER, PULSE_SECONDS, Fault, What
from .processes import Process

_log = logging.getLogger(__name__)


async def carry_out(cluster: Cluster, fault: Fault) -> None:
    """Returns when all parts run again, and answer where they were started."""
    group = cluster.members if fault.member else cluster.servers
    if fault.number == LEADER or fault.what is What.LEAD:
        try:
            one = await asyncio.to_thread(cluster.leader)
        except AssertionError:
            one = group[0]
    else:
        one = group[fault.number]
    _log.info("%s %s for %.1f s", one.name, fault.what.value, fault.seconds)
    match fault.what:
        case What.KILL:
            await _killed([one], fault.seconds)
        case What.OUTAGE:
            await _killed(group[:2], fault.seconds)
        case What.FREEZE:
            await _frozen(one, fault.seconds)
        case What.SLOW:
            for _ in range(int(fault.seconds / PULSE_SECONDS) + 1):
                await _frozen(one, PULSE_SECONDS * 0.8)
                await asyncio.sleep(PULSE_SECONDS * 0.2)
        case What.CUT:
            one.host.cut()
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                one.host.heal()
        case What.LEAD:
            await asyncio.to_thread(_lead, cluster, one)


async def _killed(group: list[Process] | tuple[Process, ...], seconds: float) -> None:
    for one in group:
        await one.kill()
    await asyncio.sleep(seconds)
    for one in group:
        one.begin()
    for one in group:
        await one.answers()


async def _frozen(one: Process, seconds: float) -> None:
    one.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        one.signal(signal.SIGCONT)


def _lead(cluster: Cluster, leader: Process) -> None:
    other = next(member for member in cluster.members if member is not leader)
    status = cluster.control("endpoint", "status", "-w", "fields", endpoints=[other], check=False)
    number = next((line.split(":")[1].strip() for line in status.splitlines() if line.startswith('"MemberID"')), "")
    if number:
        cluster.control("move-leader", f"{int(number):x}", endpoints=[leader], check=False)
