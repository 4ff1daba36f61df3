"""Which API servers answer. By itself nginx passes over none but those that refuse connections: one that is frozen takes them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pybernetes.client.http import HTTPClient
from pybernetes.deploy import endpoints
from pybernetes.deploy.daemons.model import Host

PATH = "/version"  # not the health: it is of etcd, too, which is away for all of them at once while it chooses a leader
PROBE_SECONDS, ANSWER_SECONDS = 1.0, 1.0  # from one look to the next; for an answer
FALL, RISE = 2, 2  # looks in a row that say otherwise than those before, until they are believed
# Each change is a reload, and what a reload leaves behind lives as long as a client of it does. A server that falls again and again is
# believed twice as late each time after the first few; for so many looks in a row that find it well one fall is forgotten.
FREE_FALLS, MAX_RISE, FORGIVING_LOOKS = 3, 32, 20


@dataclass(frozen=True, slots=True)
class Health:
    """Of one API server. `against`: so many looks in a row have said otherwise; `agreeing`: the same; `falls`: not forgotten yet."""

    well: bool = True
    against: int = 0
    agreeing: int = 0
    falls: int = 0


def after(health: Health, answered: bool) -> Health:
    """What is thought of a server when one more look is over."""
    if answered == health.well:
        agreeing = health.agreeing + 1
        forgiven = health.well and health.falls > 0 and agreeing >= FORGIVING_LOOKS
        return (
            Health(health.well, 0, 0, health.falls - 1) if forgiven else replace(health, against=0, agreeing=agreeing)
        )
    against = health.against + 1
    if against < (rise(health.falls) if answered else FALL):
        return replace(health, against=against, agreeing=0)
    return Health(answered, falls=health.falls if answered else health.falls + 1)


def rise(falls: int) -> int:
    """Looks in a row that a server has to answer before it is back, after so many falls."""
    return min(RISE << max(falls - FREE_FALLS, 0), MAX_RISE)


def out_of_service(masters: Sequence[Host], healths: Mapping[str, Health]) -> frozenset[str]:
    """Names of those that get no connections. Where none is well all get them: then it is not they who are to blame, and some may answer."""
    unwell = frozenset(host.name for host in masters if not healths.get(host.name, Health()).well)
    return unwell if len(unwell) < len(masters) else frozenset()


class Prober:
    """Asks the API servers at `port` of the masters; `close` when done."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self._port, self._context = port, context
        self._clients: dict[str, HTTPClient] = {}  # by address
        self._healths: dict[str, Health] = {}  # by name

    async def look(self, masters: Sequence[Host]) -> frozenset[str]:
        """Those that are out of service after one more look."""
        await self._forget([host.address for host in masters])
        answers = await asyncio.gather(*(self._answers(host.address) for host in masters))
        before = self._healths
        self._healths = {
            host.name: after(before.get(host.name, Health()), answer)
            for host, answer in zip(masters, answers, strict=True)
        }
        return out_of_service(masters, self._healths)

    async def close(self) -> None:
        """Of the connections."""
        await self._forget(())

    async def _answers(self, address: str) -> bool:
        """Whatever it is."""
        if address not in self._clients:
            self._clients[address] = HTTPClient(endpoints.url(address, self._port), self._context)
        try:
            await self._clients[address].request("GET", PATH, timeout=ANSWER_SECONDS)
        except OSError:  # which errors of connections, TLS and time are
            return False
        return True

    async def _forget(self, present: Collection[str]) -> None:
        for address in [one for one in self._clients if one not in present]:
            await self._clients.pop(address).close()
