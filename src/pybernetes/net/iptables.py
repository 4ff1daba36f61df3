"""Runs iptables, ip6tables and their -save and -restore (upstream: pkg/util/iptables)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from .programs import ProgramError, run

LOCK_SECONDS = 5  # upstream's -w for all parts: how long to wait for another writer
# Exit codes. A rule that jumps to a chain that does not exist is no rule that exists, but wrong arguments to the program.
_NOT_THERE, _WRONG_ARGUMENTS = 1, 2


class IPTables:
    """One family's tables; family is IPv4 or IPv6. Several may be at work at once: the programs wait for each other."""

    def __init__(self, family: str = "IPv4") -> None:
        self._family, self._program = family, "ip6tables" if family == "IPv6" else "iptables"

    @property
    def present(self) -> bool:
        """Whether the binaries are installed, and the kernel has the family."""
        has_family = self._family == "IPv4" or Path("/proc/sys/net/ipv6").exists()
        return has_family and shutil.which(f"{self._program}-restore") is not None

    async def save(self) -> str:
        """iptables-save's output. ProgramError."""
        return await run([f"{self._program}-save"])

    async def restore(self, text: str) -> None:
        """Applies all of a table's changes, or none; what the text does not name stays. ProgramError."""
        await run([f"{self._program}-restore", "-w", str(LOCK_SECONDS), "--noflush"], text)

    async def has_random_fully(self) -> bool:
        """From 1.6.2 on MASQUERADE takes --random-fully. ProgramError."""
        return version_of(await run([self._program, "--version"])) >= (1, 6, 2)

    async def is_nf_tables(self) -> bool:
        """Whether rules go into the kernel's nftables; else it is iptables-legacy. ProgramError."""
        return "(nf_tables)" in await run([self._program, "--version"])

    async def has(self, table: str, chain: str, rule: Sequence[str]) -> bool:
        """Whether the rule is in the chain, wherever. ProgramError."""
        return await self._try(table, "-C", chain, *rule)

    async def ensure_first(self, table: str, chain: str, rule: Sequence[str]) -> None:
        """The rule is in the chain; where it is missing it becomes the first. ProgramError."""
        if not await self.has(table, chain, rule):
            await run(self._command(table, "-I", chain, "1", *rule))

    async def delete(self, table: str, chain: str, rule: Sequence[str]) -> None:
        """The rule is not in the chain. ProgramError."""
        await self._try(table, "-D", chain, *rule)

    async def delete_chain(self, table: str, chain: str) -> None:
        """The chain is gone with its rules, if no rule leads to it. ProgramError."""
        if await self._try(table, "-F", chain):
            await self._try(table, "-X", chain)

    async def _try(self, table: str, *words: str) -> bool:
        """False for what is not there."""
        try:
            await run(self._command(table, *words))
        except ProgramError as error:
            by_rule = words[0] in ("-C", "-D")
            if error.code == _NOT_THERE or (by_rule and error.code == _WRONG_ARGUMENTS):
                return False
            raise
        return True

    def _command(self, table: str, *words: str) -> list[str]:
        return [self._program, "-w", str(LOCK_SECONDS), "-t", table, *words]


def version_of(text: str) -> tuple[int, ...]:
    """(1, 8, 9) of "iptables v1.8.9 (nf_tables)"."""
    word = next((w for w in text.split() if w.startswith("v") and w[1:2].isdigit()), "v0")
    return tuple(int(part) for part in word[1:].split(".") if part.isdigit())
