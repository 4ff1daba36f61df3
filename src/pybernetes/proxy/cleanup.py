"""Takes out of the kernel what a proxy has put there: of any mode for `kube-proxy --cleanup`, of the other ones when a mode starts."""

from __future__ import annotations

import asyncio

from .backends import MODES, BackendError, mode


def clean(shared: bool = True) -> None:
    """`remove` for callers without an event loop. BackendError where something was refused."""
    asyncio.run(remove(shared))


async def remove(shared: bool = True, but: str = "") -> None:
    """What any mode but one has left; with `shared` also what a kubelet uses too. BackendError, after all that could be removed has been."""
    problems = []
    for name in MODES:
        # Chains of ipvs and iptables have the same names: what the latter alone has, the former removes itself when it syncs.
        if name == but or (name, but) == ("iptables", "ipvs"):
            continue
        try:
            await mode(name).remove(shared)
        except BackendError as error:
            problems.append(str(error))
    if problems:
        raise BackendError("; ".join(problems))
