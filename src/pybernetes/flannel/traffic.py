"""Keeps flannel's iptables rules; others' stay as they are (upstream: ensureIPTables, ipTablesBootstrap)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from pybernetes.net.programs import ProgramError

from .rules import Rule, RuleSet, restored

_log = logging.getLogger(__name__)


class Tables(Protocol):
    """What is needed of `net.iptables.IPTables`."""

    async def has(self, table: str, chain: str, rule: Sequence[str], /) -> bool: ...

    async def restore(self, text: str, /) -> None: ...


async def ensure(tables: Tables, wanted: RuleSet) -> bool:
    """All of a set where any of it is missing, since their order counts; whether it was. ProgramError."""
    jump_is_there = await tables.has(wanted.table, wanted.parent, wanted.jump)
    if jump_is_there and await _all_there(tables, wanted.table, wanted.chain, wanted.rules):
        return False
    await tables.restore(restored(wanted, jump_is_there))
    return True


async def _all_there(tables: Tables, table: str, chain: str, rules: Sequence[Rule]) -> bool:
    for rule in rules:
        if not await tables.has(table, chain, rule):
            return False
    return True


async def start(tables: Tables, sets: Sequence[RuleSet]) -> None:
    """All of them anew, so that no rule of an earlier network is left. What cannot be done is logged: `ensure` tries again."""
    for wanted in sets:
        try:
            await tables.restore(restored(wanted, await tables.has(wanted.table, wanted.parent, wanted.jump)))
        except ProgramError as error:
            _log.error("Failed to bootstrap IPTables: %s", error)


async def resync(tables: Tables, sets: Sequence[RuleSet]) -> None:
    """One round."""
    for wanted in sets:
        try:
            if await ensure(tables, wanted):
                _log.info("Some iptables rules are missing; deleting and recreating rules")
        except ProgramError as error:
            _log.error("Failed to ensure iptables rules: %s", error)
