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


async def ensure(tables: Tables, rule_set: RuleSet) -> bool:
    """All of a set where any of it is missing, since their order counts; whether it was. ProgramError."""
    jump_is_there = await tables.has(rule_set.table, rule_set.parent, rule_set.jump)
    if jump_is_there and await _all_there(tables, rule_set.table, rule_set.chain, rule_set.rules):
        return False
    await tables.restore(restored(rule_set, jump_is_there))
    return True


async def _all_there(tables: Tables, table: str, chain: str, rules: Sequence[Rule]) -> bool:
    for rule in rules:
        if not await tables.has(table, chain, rule):
            return False
    return True


async def start(tables: Tables, sets: Sequence[RuleSet]) -> None:
    """All of them anew, so that no rule of an earlier network is left. What cannot be done is logged: `ensure` tries again."""
    for rule_set in sets:
        try:
            await tables.restore(restored(rule_set, await tables.has(rule_set.table, rule_set.parent, rule_set.jump)))
        except ProgramError as error:
            _log.error("Failed to bootstrap IPTables: %s", error)


async def resync(tables: Tables, sets: Sequence[RuleSet]) -> None:
    """One round."""
    for rule_set in sets:
        try:
            if await ensure(tables, rule_set):
                _log.info("Some iptables rules are missing; deleting and recreating rules")
        except ProgramError as error:
            _log.error("Failed to ensure iptables rules: %s", error)
