"""`kube-proxy --cleanup`: takes everything out of the kernel that a proxy of any mode has put there."""

from __future__ import annotations

import asyncio

from .backends import MODES, BackendError, mode


def clean(shared: bool = True) -> None:
    """`remove` for callers without an event loop. BackendError where something was refused."""
    asyncio.run(remove(shared))


async def remove(shared: bool = True) -> None:
    """What any mode has left; with `shared` also what a kubelet uses too. BackendError, after all that could be removed has been."""
    problems = []
    for name in MODES:
        try:
            await mode(name).remove(shared)
        except BackendError as error:
            problems.append(str(error))
    if problems:
        raise BackendError("; ".join(problems))
