"""Runs ipset (upstream: pkg/proxy/ipvs/ipset)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .programs import ProgramError, run

OLDEST = (6, 0)  # IPv6 came with it
_MODULE = Path("/sys/module/ip_set")


def present() -> bool:
    """Whether the kernel has sets now; the program loads the module where it can."""
    return _MODULE.exists()


async def version() -> tuple[int, ...]:
    """(7, 17) of the program. ProgramError."""
    output = await run(["ipset", "--version"])
    match = re.search(r"v(\d+)\.(\d+)", output)
    if match is None:
        raise ProgramError(f"no ipset version found in string: {output.strip()}")
    return tuple(map(int, match.groups()))


async def save() -> str:
    """All sets and their entries, as lines of `restore`. ProgramError."""
    return await run(["ipset", "save"])


async def restore(lines: Iterable[str]) -> None:
    """Runs them in order; what is so already is no error. After a refusal the rest is not run. ProgramError."""
    await run(["ipset", "restore", "-exist"], lines)
