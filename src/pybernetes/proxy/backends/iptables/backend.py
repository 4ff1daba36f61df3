"""Rules of one family in the kernel (upstream: pkg/proxy/iptables/proxier.go)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.net.iptables import IPTables
from pybernetes.net.programs import ProgramError

from ... import conntrack, sysctl
from ...metrics import Metrics
from .. import Backend, BackendError, Changes, Options, Services
from . import rules
from .rules import count_endpoints
from .ruleset import Desired, RuleSet
from .tables import State, Tables, apply, has_own, parse, plan, removal

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine's iptables can do and its kernel is set to."""

    random_fully: bool = True
    conntrack_tcp_liberal: bool = False
    nf_tables: bool = True  # what iptables is made of; else it is the legacy one


class IPTablesBackend:
    """See `Backend`. What the kernel has is remembered, and read again when asked."""

    def __init__(
        self, family: str, tables: Tables, metrics: Metrics, machine: Machine | None = None, clock: Clock | None = None
    ) -> None:
        self.family = family
        self._tables, self._metrics, self._clock = tables, metrics, clock or RealClock()
        self._machine = machine or Machine()
        self._current: State | None = None
        self._rules: RuleSet | None = None  # of the last sync
        self._endpoints = 0
        self._used = family == "IPv4"  # a cluster without IPv6 services pays nothing for it

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        """See `Backend`."""
        if self._current is not None and not self._used and not services:
            return True
        started = self._clock.monotonic()
        touched = self._rebuild(changes, services, options)
        if touched is not None and not touched and not reread:
            return True
        assert self._rules is not None, "just made"
        full = reread or touched is None
        try:
            await self._apply(self._rules.desired, bool(services), reread, None if full else touched)
        except ProgramError as error:
            self._current = self._rules = None
            self._metrics.failures.inc(self.family)
            _log.error("Failed to sync %s rules: %s", self.family, error)
            return False
        if self._used:
            await conntrack.forget(conntrack.stale_flows(changes))
            self._observe(changes, services, self._rules, full, self._clock.monotonic() - started)
        return True

    def _rebuild(self, changes: Changes, services: Services, options: Options) -> set[str] | None:
        """Brings the rule set up to date; the chains that may differ now, or None for all of them."""
        if self._rules is None or self._current is None:
            self._endpoints = sum(count_endpoints(own) for own in services.values())
        else:
            self._endpoints += sum(count_endpoints(c.after) - count_endpoints(c.before) for c in changes.values())
        chosen = self._rule_options(options)
        if self._rules is None or self._current is None or self._rules.options != chosen:
            self._rules = RuleSet(chosen)
            self._rules.replace((), (port for own in services.values() for port in own))
            return None
        if not changes:
            return set()
        before = [port for change in changes.values() for port in change.before]
        after = [port for change in changes.values() for port in change.after]
        return self._rules.replace(before, after)

    def _rule_options(self, options: Options) -> rules.Options:
        flags = {field.name: getattr(options, field.name) for field in fields(Options)}
        return rules.Options(
            **flags,
            family=self.family,
            large_cluster=self._endpoints > rules.LARGE_CLUSTER_ENDPOINTS,
            random_fully=self._machine.random_fully,
            conntrack_tcp_liberal=self._machine.conntrack_tcp_liberal,
        )

    async def _apply(self, desired: Desired, served: bool, reread: bool, touched: set[str] | None) -> None:
        if reread or self._current is None:
            self._current = parse(await self._tables.save())
        self._used = self._used or served or has_own(self._current)
        if not self._used:
            return
        text = plan(self._current, desired.tables, touched=touched, batched=self._machine.nf_tables)
        if text:
            _log.debug("%s: %d lines of changes", self.family, text.count("\n"))
            await self._tables.restore(text)
            apply(self._current, desired.tables, touched=touched)

    def _observe(self, changes: Changes, services: Services, ruleset: RuleSet, full: bool, seconds: float) -> None:
        self._metrics.observe_sync(self.family, changes, services, full, seconds)
        for table, size in ruleset.size.items():
            self._metrics.rules.set(size, table, self.family)


async def remove_rules(removal_of: Callable[[str, str], str]) -> None:
    """Has iptables-restore take what the function makes of what is saved, and the family. BackendError, after both: they are
    independent."""
    problems = []
    for family in ("IPv4", "IPv6"):
        tables = IPTables(family)
        if not tables.present:
            continue
        try:
            if text := removal_of(await tables.save(), family):
                await tables.restore(text)
        except ProgramError as error:
            problems.append(str(error))
    if problems:
        raise BackendError("; ".join(problems))


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
            random_fully, nf_tables = await four.has_random_fully(), await four.is_nf_tables()
        except ProgramError as error:
            raise BackendError(str(error)) from error
        machine = Machine(random_fully, bool(sysctl.read(sysctl.TCP_BE_LIBERAL)), nf_tables)
        backends: list[Backend] = [IPTablesBackend("IPv4", four, metrics, machine)]
        if six.present:
            backends.append(IPTablesBackend("IPv6", six, metrics, machine))
        else:
            _log.info("No IPv6 services: kernel or ip6tables has no support for IPv6")
        return backends

    async def remove(self, shared: bool) -> None:
        await remove_rules(lambda saved, _: removal(parse(saved), shared))
