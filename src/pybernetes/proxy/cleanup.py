"""`kube-proxy --cleanup`: takes everything out of the kernel that a proxy has put there."""

from __future__ import annotations

import asyncio

from .iptables import IPTables, IPTablesError, parse, removal


def clean(shared: bool = True) -> None:
    """`remove` for callers without an event loop. IPTablesError where something was refused."""
    asyncio.run(remove(shared))


async def remove(shared: bool = True) -> None:
    """Removes chains and jumps of both families; with `shared` also the chains that a kubelet uses too. IPTablesError.

    Families are independent: what is refused in one does not keep the other.
    """
    problems = []
    for family in ("IPv4", "IPv6"):
        tables = IPTables(family)
        if not tables.present:
            continue
        try:
            text = removal(parse(await tables.save()), shared)
            if text:
                await tables.restore(text)
        except IPTablesError as error:
            problems.append(str(error))
    if problems:
        raise IPTablesError("; ".join(problems))
