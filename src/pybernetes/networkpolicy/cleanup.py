"""Takes away what kube-network-policies has left in the kernel, for callers without an event loop."""

from __future__ import annotations

import asyncio
import shutil

from .kernel import KernelTable


def clean() -> None:
    """Where there is no nft there is no table either. ProgramError."""
    if shutil.which("nft") is not None:
        asyncio.run(KernelTable().delete())
