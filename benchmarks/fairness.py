"""How long one user's GET takes while another one floods with large lists and creations; with and without priority and fairness.

./bench fairness
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time

from pybernetes.api.wellknown import ALL_AUTHENTICATED, SYSTEM_PRIVILEGED_GROUP
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.store.memory import MemoryStore
from pybernetes.wire.http import Request

from .figures import Figures

MAPS = "/api/v1/namespaces/default/configmaps"
STORED = 2000  # config maps of 2 kB: a list has 4 MB
LISTS, CREATES = 200, 50  # connections of who floods
SECONDS = 6.0


class ByHeader:
    """Who asks is who says so."""

    async def authenticate(self, request: Request) -> User | None:
        """The user of the header X-User."""
        name = request.header("x-user") or ""
        groups = (SYSTEM_PRIVILEGED_GROUP,) if name == "admin" else ()
        return User(name, (*groups, ALL_AUTHENTICATED)) if name else None


async def serve(fair: bool) -> None:
    """A server in a process of its own; its port is the first line of the output."""
    options = Options(authentication=AuthenticationOptions(requests=(ByHeader(),)), priority_and_fairness=fair)
    server = APIServer(MemoryStore(), options)
    await server.start()
    print(server.port, flush=True)
    await asyncio.get_running_loop().create_future()


class Connection:
    """One request after the other."""

    def __init__(self, user: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._user, self._reader, self._writer = user, reader, writer

    @classmethod
    async def open(cls, user: str, port: int) -> Connection:
        """To the server."""
        return cls(user, *await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    async def ask(self, method: str, path: str, body: bytes = b"") -> int:
        """The answer's status; its body is read."""
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-User: {self._user}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        if "content-length" in headers:
            await self._reader.readexactly(int(headers["content-length"]))
        else:
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readexactly(2)
        return int(lines[0].split()[1])

    def close(self) -> None:
        """It is not used any more."""
        self._writer.close()


def config_map(name: str) -> bytes:
    """Of 2 kB."""
    return json.dumps({"metadata": {"name": name}, "data": {"a": "x" * 1800}}).encode()


async def flood(port: int, lists: bool, number: int, done: dict[int, int]) -> None:
    """Until it is cancelled; `done` counts statuses."""
    connection, turn = await Connection.open("flood", port), 0
    try:
        while True:
            turn += 1
            if lists:
                status = await connection.ask("GET", MAPS)
            else:
                path = "/api/v1/namespaces/kube-public/configmaps"
                status = await connection.ask("POST", path, config_map(f"f{number}-{turn}"))
            done[status] = done.get(status, 0) + 1
    finally:
        connection.close()


async def flood_all(port: int) -> None:
    """From a process of its own, whose reading is nobody else's waiting; prints how many answers of each status it had."""
    done: dict[int, int] = {}
    tasks = [asyncio.create_task(flood(port, number < LISTS, number, done)) for number in range(LISTS + CREATES)]
    await asyncio.sleep(SECONDS + 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(done))


async def latencies(port: int) -> list[float]:
    """Milliseconds of GETs, one after the other with a short pause."""
    connection, took = await Connection.open("small", port), []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        if await connection.ask("GET", f"{MAPS}/a0") != 200:
            raise RuntimeError("the small user's GET was refused")
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    connection.close()
    return took


async def measure(port: int) -> tuple[list[float], list[float], dict[str, int]]:
    """Latencies at rest and in the flood, and the flood's answers by status."""
    admin = await Connection.open("admin", port)
    for number in range(STORED):
        await admin.ask("POST", MAPS, config_map(f"a{number}"))
    admin.close()
    rest = await latencies(port)
    command = [sys.executable, "-m", "benchmarks.fairness", "flood", str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    await asyncio.sleep(1.5)
    flooded = await latencies(port)
    output, _ = await process.communicate()
    return rest, flooded, json.loads(output)


def main() -> Figures:
    """Of both servers."""
    figures: Figures = {}
    for name, fair in (("fair", True), ("maxinflight", False)):
        command = [sys.executable, "-m", "benchmarks.fairness", "serve", str(fair)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                rest, flooded, done = asyncio.run(measure(int(process.stdout.readline())))
            finally:
                process.terminate()
        for state, took in (("rest", rest), ("flood", flooded)):
            figures[f"fairness_{name}_{state}_get_mean"] = round(statistics.mean(took), 2), "ms"
            figures[f"fairness_{name}_{state}_get_p99"] = round(statistics.quantiles(took, n=100)[98], 2), "ms"
            figures[f"fairness_{name}_{state}_gets"] = len(took) / SECONDS, "1/s"
        figures[f"fairness_{name}_flood_served"] = done.get("200", 0) + done.get("201", 0), "requests"
    return figures


if __name__ == "__main__":
    what, value = sys.argv[1:]
    asyncio.run(serve(value == "True") if what == "serve" else flood_all(int(value)))
