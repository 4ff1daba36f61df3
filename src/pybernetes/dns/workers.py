"""The other processes of `multisocket`: each a whole server with the same Corefile, on the same ports.

They are told by lines on their standard input ("metrics", "reload"), answer with lines of JSON, and end when it is closed: also when this
process is killed. One that ends by itself is started again. Ports for people (metrics, health, ready) are this process's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from pybernetes.aio.clock import Clock, RealClock

_log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
METRICS_SECONDS = 2.0  # a process that takes longer is left out this time
END_SECONDS = 5.0  # then it is killed
LONGEST_LINE = 16 << 20

Command = Callable[[Path, int], list[str]]


def command(path: Path, port: int) -> list[str]:
    """What runs `worker`."""
    level = logging.getLogger().level
    return [sys.executable, "-m", "pybernetes.dns.worker", str(path), str(port), str(level)]


class Workers:
    """So many as `resize` says."""

    def __init__(self, path: Path, port: int, clock: Clock | None = None, command: Command = command) -> None:
        self._command, self._clock = command(path, port), clock or RealClock()
        self._workers: list[_Worker] = []

    @property
    def ready(self) -> bool:
        """Whether all answer."""
        return all(worker.ready for worker in self._workers)

    async def resize(self, count: int) -> None:
        """Starts or ends some; does not wait until they answer."""
        while len(self._workers) < count:
            self._workers.append(_Worker(self._command, self._clock))
        ending, self._workers = self._workers[count:], self._workers[:count]
        await asyncio.gather(*(worker.stop() for worker in ending))

    def reload(self) -> None:
        """Has them look at the Corefile."""
        for worker in self._workers:
            worker.send("reload")

    async def metrics(self) -> list[str]:
        """Of each that answers in time."""
        texts = await asyncio.gather(*(worker.metrics() for worker in self._workers))
        return [text for text in texts if text]


class _Worker:
    """One process, and the next when it has ended."""

    def __init__(self, command: list[str], clock: Clock) -> None:
        self._command, self._clock = command, clock
        self.ready = False
        self._process: asyncio.subprocess.Process | None = None
        self._asked: list[asyncio.Future[str]] = []
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            try:
                await self._once()
            except (OSError, ValueError) as error:  # it cannot be started, or says what nobody understands
                _log.error("a process of multisocket: %s", error)
            await self._clock.sleep(RESTART_SECONDS)

    async def _once(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE
        )
        self._process = process
        try:
            await self._listen(process)
        finally:
            self.ready, self._process = False, None
            self._forget()
            await self._end(process)
        _log.error("a process of multisocket has ended with code %s; another one is started", process.returncode)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # a pipe
        while line := await process.stdout.readline():
            message = json.loads(line)
            if message.get("ready"):
                self.ready = True
            elif "metrics" in message and self._asked:
                future = self._asked.pop(0)
                if not future.done():
                    future.set_result(message["metrics"])

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with self._clock.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _forget(self) -> None:
        for future in self._asked:
            if not future.done():
                future.set_result("")
        self._asked.clear()

    def send(self, line: str) -> bool:
        """Whether there is somebody to hear it."""
        if self._process is None or self._process.stdin is None:
            return False
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(f"{line}\n".encode())
            return True
        return False

    async def metrics(self) -> str:
        """ "" where it does not answer."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if not self.send("metrics"):
            return ""
        self._asked.append(future)
        try:
            async with self._clock.timeout(METRICS_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError:
            return ""

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
