"""What readers that do not read, and senders who may not send, cost the API server in memory. Needs nothing.

./bench memory
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from pybernetes.api import errors
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.generic.options import WriteOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.store.memory import MemoryStore
from pybernetes.testing.certificates import Authority
from pybernetes.testing.cluster import TestCluster

from .figures import Figures

OBJECTS, OBJECT_BYTES = 1_000, 11_700  # 11.7 MB in one collection
WATCHES, LISTS, ANONYMOUS = 800, 200, 150
BODY = 3 << 20
ADDRESS_SPACE = 4 << 30  # of the server: what fails fails soon
SETTLED = 2.0  # seconds after which the server has done what it does for silent readers
CONFIG_MAPS = "/api/v1/configmaps"


class Known:
    """Who says who he is is the administrator."""

    async def authenticate(self, request: Any) -> User:
        """StatusError 401 without a header Authorization."""
        if request.header("authorization") is None:
            raise errors.unauthorized()
        return User("admin", ("system:masters", "system:authenticated"))


async def serve(folder: Path) -> None:
    """A server with a large collection, until its standard input ends; prints its port."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    context = TestCluster(folder)._tls(Authority("bench", datetime.now(UTC)))
    context.verify_mode = ssl.CERT_NONE
    authentication = AuthenticationOptions([Known()])
    options = Options(ssl_context=context, authentication=authentication, authorization_modes=("RBAC",))
    server = APIServer(MemoryStore(), options)
    await server.start()
    store = server.store("", "v1", "configmaps")
    for number in range(OBJECTS):
        obj = {"metadata": {"name": f"c-{number:04}"}, "data": {"a": "x" * OBJECT_BYTES}}
        await store.create(store.schema.normalize(obj)[0], "default", WriteOptions(admission=False))
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


def megabytes(pid: int) -> float:
    """Of memory that the process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@contextlib.contextmanager
def connections(port: int, count: int, request: bytes) -> Iterator[list[ssl.SSLSocket]]:
    """Each has sent the request as far as the server took it, and reads nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opened: list[ssl.SSLSocket] = []
    try:
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", port), timeout=10)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one = context.wrap_socket(plain)
            opened.append(one)
            one.settimeout(0.05)
            with contextlib.suppress(OSError):
                one.sendall(request)
        yield opened
    finally:
        for one in opened:
            one.close()


def growth(pid: int, port: int, count: int, request: bytes) -> float:
    """Megabytes that the server has more of while they wait."""
    before = megabytes(pid)
    with connections(port, count, request):
        time.sleep(SETTLED)
        return megabytes(pid) - before


def main() -> Figures:
    """RuntimeError where the server does not start."""
    figures: Figures = {}
    headers = "Host: x\r\nAuthorization: Bearer x\r\n"
    list_ = f"GET {CONFIG_MAPS} HTTP/1.1\r\n{headers}\r\n".encode()
    watch = f"GET {CONFIG_MAPS}?watch=1 HTTP/1.1\r\n{headers}\r\n".encode()
    post = f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n\r\n".encode() + b"x" * BODY
    for name, count, request in (
        (f"unread_watches_{WATCHES}", WATCHES, watch),
        (f"unread_lists_{LISTS}", LISTS, list_),
        (f"anonymous_bodies_{ANONYMOUS}", ANONYMOUS, post),
    ):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.memory", folder]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                assert process.stdin and process.stdout
                port = process.stdout.readline()
                if not port:
                    raise RuntimeError("the server did not start")
                try:
                    figures[name] = (growth(process.pid, int(port), count, request), "MB")
                finally:
                    process.stdin.close()
    return figures


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
