"""Connections to ports inside a pod, its loopback's included (upstream: streaming port-forward in the pod's namespace)."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from pybernetes.net.links import inside
from pybernetes.wire.duplex import SocketDuplex

from ..prober import GO_ERRORS

CONNECT_SECONDS = 30.0


def _connected(namespace: str, port: int) -> socket.socket:
    """In a thread of its own: a socket belongs to the namespace that it was made in."""
    problems = []
    with inside(namespace):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(CONNECT_SECONDS)
            try:
                connection.connect((host, port))
            except OSError as error:
                connection.close()
                problems.append(GO_ERRORS.get(error.errno or 0, str(error)))
                continue
            connection.setblocking(False)
            return connection
    four, six = problems
    text = f"failed to connect to localhost:{port} inside namespace, IPv4: dial tcp4 127.0.0.1:{port}: {four} "
    raise ConnectionRefusedError(text + f"IPv6 dial tcp6 [::1]:{port}: {six}")


async def connect(pid: int, port: int) -> SocketDuplex:
    """To a port of the pod whose sandbox is this process; OSError where nobody listens."""
    with ThreadPoolExecutor(1, "port-forward") as thread:
        loop = asyncio.get_running_loop()
        connected = await loop.run_in_executor(thread, _connected, f"/proc/{pid}/ns/net", port)
    return SocketDuplex(*await asyncio.open_connection(sock=connected))
