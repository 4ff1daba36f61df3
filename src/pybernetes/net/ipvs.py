"""The kernel's IP Virtual Server. Blocking."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from . import netlink
from .ipvsmessages import (
    FLUSH,
    GET_DEST,
    GET_SERVICE,
    Command,
    RealServer,
    Service,
    Use,
    VirtualServer,
    about,
    header,
    parse_dest,
    parse_service,
)
from .netlink import Connection
from .netlinkmessages import DUMP

FAMILY = "IPVS"


class IPVS:
    """The virtual servers of the network namespace of who makes it. FileNotFoundError where the kernel has no IPVS, OSError from everything."""

    def __init__(self) -> None:
        self._connection = Connection(netlink.GENERIC)
        try:
            self._family = self._connection.family(FAMILY)
        except OSError:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def services(self) -> dict[VirtualServer, Service]:
        """All there are, of both families."""
        bodies = self._connection.ask(self._family, DUMP, header(GET_SERVICE))
        return dict(filter(None, (parse_service(body[4:]) for body in bodies)))

    def destinations(self, server: VirtualServer) -> dict[RealServer, Use]:
        """{} where there is no such virtual server."""
        body = header(GET_DEST) + about(server)
        try:
            bodies = self._connection.ask(self._family, DUMP, body)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return {}
            raise
        return dict(filter(None, (parse_dest(body[4:], server) for body in bodies)))

    def apply(self, commands: Sequence[Command]) -> None:
        """All are tried, in order; OSError with the first that was refused, and how many were."""
        results = self._connection.run([(self._family, 0, header(c.number) + c.body) for c in commands])
        refused = [(c, e) for c, e in zip(commands, results, strict=True) if e and e not in c.harmless]
        if refused:
            command, number = refused[0]
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise OSError(number, f"IPVS: {command.about}: {os.strerror(number)}{more}")

    def flush(self) -> None:
        """No virtual server is left."""
        self.apply([Command(FLUSH, b"", "flushing")])
