"""Rules of one family in the kernel (upstream: pkg/proxy/iptables/proxier.go)."""

from __future__ import annotations

import logging
from dataclasses import fields

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.net.iptables import IPTables
from pybernetes.net.programs import ProgramError

from ... import conntrack
from ...metrics import Metrics
from ...model import ServicePort, sort_key
from .. import Backend, BackendError, Changes, Options, Services
from . import rules
from .rules import Desired, desired
from .tables import State, Tables, has_own, outcome, parse, plan, removal

_log = logging.getLogger(__name__)


class IPTablesBackend:
    """See `Backend`. What the kernel has is remembered, and read again when asked."""

    def __init__(
        self, family: str, tables: Tables, metrics: Metrics, *, random_fully: bool = True, clock: Clock | None = None
    ) -> None:
        self.family = family
        self._tables, self._metrics, self._clock = tables, metrics, clock or RealClock()
        self._random_fully = random_fully
        self._current: State | None = None
        self._options: Options | None = None  # of the last sync
        self._used = family == "IPv4"  # a cluster without IPv6 services pays nothing for it

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        """See `Backend`."""
        full = reread or self._current is None
        if self._current is not None and not self._used and not services:
            return True
        if not full and not changes and options == self._options:
            return True
        started = self._clock.monotonic()
        ports = sorted((port for own in services.values() for port in own), key=sort_key)
        wanted = desired(ports, self._rule_options(options))
        try:
            await self._apply(wanted, bool(ports), full)
        except ProgramError as error:
            self._current = None
            self._metrics.failures.inc(self.family)
            _log.error("Failed to sync %s rules: %s", self.family, error)
            return False
        self._options = options
        if self._used:
            await conntrack.forget(conntrack.stale_flows(changes))
            self._observe(ports, wanted, full, self._clock.monotonic() - started)
        return True

    def _rule_options(self, options: Options) -> rules.Options:
        flags = {field.name: getattr(options, field.name) for field in fields(Options)}
        flags["localhost_node_ports"] = options.localhost_node_ports and self.family == "IPv4"
        return rules.Options(**flags, family=self.family, random_fully=self._random_fully)

    async def _apply(self, wanted: Desired, served: bool, full: bool) -> None:
        current = parse(await self._tables.save()) if full or self._current is None else self._current
        self._used = self._used or served or has_own(current)
        if not self._used:
            self._current = current
            return
        text = plan(current, wanted.tables)
        if text:
            _log.debug("%s: %d lines of changes", self.family, text.count("\n"))
            await self._tables.restore(text)
        self._current = outcome(current, wanted.tables) if text else current

    def _observe(self, ports: list[ServicePort], wanted: Desired, full: bool, seconds: float) -> None:
        metrics = self._metrics
        metrics.duration.observe(seconds, self.family)
        (metrics.full if full else metrics.partial).observe(seconds, self.family)
        for table, chains in wanted.tables.items():
            metrics.rules.set(sum(map(len, chains.values())), table, self.family)
        stranded = [p for p in ports if p.endpoints and not p.local_endpoints]
        metrics.no_local.set(sum(p.internal_local for p in stranded), "internal", self.family)
        metrics.no_local.set(sum(p.local_only for p in stranded), "external", self.family)


class IPTablesMode:
    """See `Mode`."""

    name = "iptables"

    async def lacks(self) -> str:
        """The programs, or the right to use them."""
        four = IPTables("IPv4")
        if not four.present:
            return "iptables-restore is not installed: install the package iptables"
        try:
            await four.save()
        except ProgramError as error:
            return f"{error}: kube-proxy needs root (CAP_NET_ADMIN)"
        return ""

    async def backends(self, metrics: Metrics) -> list[Backend]:
        """IPv6 only where kernel and programs have it."""
        four, six = IPTables("IPv4"), IPTables("IPv6")
        try:
            random_fully = await four.has_random_fully()
        except ProgramError as error:
            raise BackendError(str(error)) from error
        made: list[Backend] = [IPTablesBackend("IPv4", four, metrics, random_fully=random_fully)]
        if six.present:
            made.append(IPTablesBackend("IPv6", six, metrics, random_fully=random_fully))
        else:
            _log.info("No IPv6 services: kernel or ip6tables has no support for IPv6")
        return made

    async def remove(self, shared: bool) -> None:
        """Families are independent: what is refused in one does not keep the other."""
        problems = []
        for family in ("IPv4", "IPv6"):
            tables = IPTables(family)
            if not tables.present:
                continue
            try:
                text = removal(parse(await tables.save()), shared)
                if text:
                    await tables.restore(text)
            except ProgramError as error:
                problems.append(str(error))
        if problems:
            raise BackendError("; ".join(problems))
