"""The table in the kernel, by nft; nothing of it is decided here."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

from pybernetes.net.nftables import generation
from pybernetes.net.programs import ProgramError, run

from .table import TABLE

_log = logging.getLogger(__name__)

BRIDGE_CALLS = tuple(
    Path("/proc/sys/net/bridge") / name for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")
)


class KernelTable:
    """Implements `app.Kernel`. Of a text that is applied all comes about, or nothing. ProgramError."""

    def __init__(self) -> None:
        self._told = False

    async def check(self) -> None:
        """That there is nft, and that the kernel has nf_tables."""
        await run(["nft", "list", "tables"])

    async def apply(self, text: str) -> None:
        await run(["nft", "-f", "-"], text)

    async def listing(self) -> str | None:
        """As nft shows it; None where it is not there."""
        try:
            return await run(["nft", "list", "table", *TABLE.split()])
        except ProgramError as error:
            if error.code and os.strerror(errno.ENOENT) in str(error):
                return None
            raise

    def generation(self) -> int:
        """See `nftables.generation`; what the kernel refuses is a ProgramError here."""
        try:
            return generation()
        except OSError as error:
            raise ProgramError(str(error), error.errno or 0) from error

    async def delete(self) -> None:
        """It may be gone already."""
        await self.apply(f"add table {TABLE}\ndelete table {TABLE}\n")

    def prepare(self) -> None:
        """Has bridges ask: else pods of one bridge reach each other past all rules. What cannot be set is told once."""
        for path in BRIDGE_CALLS:
            try:
                if path.read_text().strip() != "1":
                    path.write_text("1")
            except OSError as error:
                if not self._told:
                    text = "%s cannot be set (%s): policies do not hold between pods of one bridge, if there is such a bridge"
                    _log.warning(text, path, error.strerror)
                self._told = True
