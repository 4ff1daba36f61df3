"""Keeps one family's table in the kernel (upstream: pkg/proxy/nftables/proxier.go)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import IO, Protocol

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.net import nftables
from pybernetes.net.nftables import NFTables
from pybernetes.net.programs import ProgramError

from ... import conntrack
from ...metrics import Metrics
from .. import Backend, BackendError, Changes, Options, Services
from . import rules
from .listing import Listing, read
from .ruleset import RuleSet, Script

_log = logging.getLogger(__name__)

STALE_SECONDS = 1.0  # upstream's: after so long the kernel has forgotten who led to a chain
SKIP_KERNEL_CHECK = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK"  # upstream's variable


class Table(Protocol):
    """What the backend needs of `net.nftables.NFTables`."""

    async def listing(self, containers: Sequence[str]) -> IO[str] | None:
        """What nft prints of the table. ProgramError."""
        ...

    async def apply(self, lines: Iterable[str]) -> None:
        """One transaction. ProgramError."""
        ...

    def send(self, commands: Iterable[str]) -> None:
        """One transaction of what `net.nftmessages` knows, at once. OSError."""
        ...


class NFTablesBackend:
    """See `Backend`. The kernel is read only where somebody may have changed something since: it counts transactions."""

    def __init__(
        self,
        family: str,
        table: Table,
        metrics: Metrics,
        generation: Callable[[], int] = nftables.generation,
        clock: Clock | None = None,
    ) -> None:
        self.family = family
        self._table, self._metrics, self._clock = table, metrics, clock or RealClock()
        self._ask_generation = generation
        self._generation: int | None = None  # at which the table was as this backend has left it
        self._rules: RuleSet | None = None  # None: the kernel is not known
        self._stale: dict[str, float] = {}  # empty chains, and since when
        self._first = True
        self._used = family == "IPv4"  # a cluster without IPv6 services pays nothing for it

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        """See `Backend`."""
        chosen = rules.Options(**{f.name: getattr(options, f.name) for f in fields(Options)}, family=self.family)
        if self._rules is not None and not self._used and not services:
            return True
        started = self._clock.monotonic()
        renewed = self._rules is None or self._rules.options != chosen or not self._used
        try:
            await self._delete_stale()
            full = renewed or (reread and self._foreign_change())
            if not full and not changes:
                return True
            applied = await (self._whole(services, chosen) if full else self._change(changes))
        except (ProgramError, OSError) as error:
            self._rules, self._stale, self._generation = None, {}, None
            self._metrics.nftables_failures.inc(self.family)
            _log.error("Failed to sync %s nftables: %s", self.family, error)
            return False
        if applied or changes:
            await conntrack.forget(conntrack.stale_flows(changes))
            self._metrics.observe_sync(self.family, changes, services, full, self._clock.monotonic() - started)
        return True

    def _foreign_change(self) -> bool:
        return self._generation is None or self._ask_generation() != self._generation

    async def _whole(self, services: Services, options: rules.Options) -> bool:
        declared = {name: " ".join((line.split()[0], name)) for name, line in rules.containers(options).items()}
        before = self._ask_generation()
        output = await self._table.listing(list(declared.values()))
        if output is None:
            current = Listing()
        else:
            with output:
                current = read(output)
        self._used = self._used or bool(services) or output is not None
        self._rules = RuleSet(options)
        if not self._used:
            return False
        script = self._rules.whole(services, current, first=self._first)
        await self._apply(script, options, before)
        self._first = False
        return True

    async def _change(self, changes: Changes) -> bool:
        assert self._rules is not None, "there was a whole one"
        self._used = True
        before = self._ask_generation() if self._generation is not None else None
        script = self._rules.change(changes)
        await self._apply(script, self._rules.options, before if before == self._generation else None)
        return bool(changes)

    async def _apply(self, script: Script, options: rules.Options, before: int | None) -> None:
        """`before`: the generation of which it is known what the kernel holds; None where it is not."""
        applied = 0
        if script.base:
            await self._table.apply(script.base)
            applied += 1
        for transaction in script.transactions(options):
            self._table.send(transaction)
            applied += 1
            await asyncio.sleep(0)  # a large one takes its time
        now = self._clock.monotonic()
        for chain in (*script.chains, *(chain for chain, _ in script.rules)):
            self._stale.pop(chain, None)
        self._stale.update(dict.fromkeys(script.stale, now))
        after = self._ask_generation()
        alone = before is not None and after == before + applied
        self._generation = after if alone else None

    async def _delete_stale(self) -> None:
        """Chains that nothing leads to. Failing that, they stay, empty, and are found at the next reading."""
        now = self._clock.monotonic()
        old = [chain for chain, since in self._stale.items() if now - since >= STALE_SECONDS]
        if not old:
            return
        for chain in old:
            del self._stale[chain]
        own = f"{'ip6' if self.family == 'IPv6' else 'ip'} {rules.TABLE}"
        before = self._ask_generation()
        try:
            self._table.send(f"delete chain {own} {chain}" for chain in old)
        except OSError as error:
            self._metrics.nftables_cleanup_failures.inc(self.family)
            self._generation = None
            _log.error("Unable to delete stale chains; will retry later: %s", error)
            return
        alone = before == self._generation and self._ask_generation() == before + 1
        self._generation = before + 1 if alone else None


class NFTablesMode:
    """See `Mode`."""

    name = "nftables"

    async def lacks(self) -> str:
        """The program, a kernel that is new enough, or the right to use them."""
        if not NFTables("IPv4", rules.TABLE).present:
            return "nft is not installed: install the package nftables"
        oldest, kernel = nftables.OLDEST_KERNEL, nftables.kernel_version()
        if kernel < oldest and not os.environ.get(SKIP_KERNEL_CHECK):
            return f"kube-proxy in nftables mode requires kernel {'.'.join(map(str, oldest))} or later"
        try:
            program = await nftables.version()
            nftables.generation()
            await NFTables("IPv4", rules.TABLE).listing([])
        except (ProgramError, OSError) as error:
            return f"{error}: kube-proxy needs root (CAP_NET_ADMIN) and a kernel with nftables"
        if program < nftables.OLDEST_NFT:
            return f"nft is of version {'.'.join(map(str, program))}: 1.0.1 or later is needed"
        return ""

    async def backends(self, metrics: Metrics) -> list[Backend]:
        """IPv6 only where the kernel has it."""
        tables = {family: NFTables(family, rules.TABLE) for family in ("IPv4", "IPv6")}
        if not tables["IPv6"].present:
            _log.info("No IPv6 services: the kernel has no support for IPv6")
        return [NFTablesBackend(family, table, metrics) for family, table in tables.items() if table.present]

    async def remove(self, shared: bool) -> None:
        """The tables, whole."""
        problems = []
        for family in ("IPv4", "IPv6"):
            table = NFTables(family, rules.TABLE)
            if table.present:
                try:
                    await table.delete()
                except ProgramError as error:
                    problems.append(str(error))
        if problems:
            raise BackendError("; ".join(problems))
