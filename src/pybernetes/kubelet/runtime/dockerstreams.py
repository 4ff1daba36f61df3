"""What goes in and out of Docker's containers: commands, attached terminals, logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from pybernetes.aio.ending import end
from pybernetes.client.http import Duplex
from pybernetes.wire.remotecommand import CommandStreams

from .dockerapi import STDERR, DockerAPI, DockerError, Frames
from .types import ExecResult, LogOptions

logger = logging.getLogger(__name__)

MAX_EXEC_OUTPUT = 16 << 20  # containerd's: a probe's command may write without end; what is over is read and dropped
EXEC_GONE = 126  # what a command that could not be run ends with in Docker


class DockerStreams:
    """The part of interfaces.RuntimeService that moves bytes."""

    def __init__(self, api: DockerAPI) -> None:
        self.api = api

    async def _exec_create(self, container_id: str, command: Sequence[str], stdin: bool, tty: bool) -> str:
        body = {
            "Cmd": list(command),
            "AttachStdin": stdin,
            "AttachStdout": True,
            "AttachStderr": not tty,
            "Tty": tty,
        }
        return str((await self.api.post(f"/containers/{container_id}/exec", body))["Id"])

    async def _exit_code(self, exec_id: str) -> int:
        inspected = await self.api.get(f"/exec/{exec_id}/json")
        code = inspected["ExitCode"]
        return EXEC_GONE if code is None else int(code)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        exec_id = await self._exec_create(container_id, command, stdin=False, tty=False)
        output = bytearray()
        try:
            async with asyncio.timeout(timeout or None):
                frames = Frames()
                body = {"Detach": False, "Tty": False}
                async with self.api.stream("POST", f"/exec/{exec_id}/start", body=body) as answer:
                    async for piece in answer:
                        for _, data in frames.feed(piece):
                            output += data[: MAX_EXEC_OUTPUT - len(output)]
        except TimeoutError:
            return ExecResult(-1, bytes(output))
        return ExecResult(await self._exit_code(exec_id), bytes(output))

    async def exec(
        self, container_id: str, command: Sequence[str], streams: CommandStreams, *, stdin: bool, tty: bool
    ) -> int:
        exec_id = await self._exec_create(container_id, command, stdin, tty)
        duplex = await self.api.hijack(f"/exec/{exec_id}/start", None, {"Detach": False, "Tty": tty})
        await self._join(duplex, streams, stdin, tty, f"/exec/{exec_id}/resize")
        return await self._exit_code(exec_id)

    async def attach(self, container_id: str, streams: CommandStreams, *, stdin: bool, tty: bool) -> None:
        query = {"stream": True, "stdin": stdin, "stdout": True, "stderr": True}
        duplex = await self.api.hijack(f"/containers/{container_id}/attach", query)
        await self._join(duplex, streams, stdin, tty, f"/containers/{container_id}/resize")

    async def _join(self, duplex: Duplex, streams: CommandStreams, stdin: bool, tty: bool, resize: str) -> None:
        """Copies until the process's output ends."""

        async def inwards() -> None:
            while data := await streams.read_stdin():
                await duplex.write(data)
            duplex.write_eof()

        async def sizes() -> None:
            async for width, height in streams.sizes():
                try:
                    await self.api.post(resize, None, {"w": width, "h": height})
                except DockerError as error:
                    logger.debug("resizing a terminal: %s", error)  # it may have ended

        tasks = [asyncio.ensure_future(inwards())] if stdin else []
        if tty:
            tasks.append(asyncio.ensure_future(sizes()))
        try:
            frames = Frames()
            while piece := await duplex.read():
                if tty:
                    await streams.write_stdout(piece)
                    continue
                for kind, data in frames.feed(piece):
                    await (streams.write_stderr if kind == STDERR else streams.write_stdout)(data)
        finally:
            await end(*tasks)
            duplex.close()

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        inspected = await self.api.get(f"/containers/{container_id}/json")
        query = {
            "stdout": options.stdout,
            "stderr": options.stderr,
            "follow": options.follow,
            "timestamps": options.timestamps,
            "tail": "all" if options.tail is None else options.tail,
            "since": _unix(options.since),
        }
        frames = Frames()
        async with self.api.stream("GET", f"/containers/{container_id}/logs", query) as answer:
            async for piece in answer:
                if inspected["Config"]["Tty"]:
                    yield piece
                    continue
                for _, data in frames.feed(piece):
                    yield data


def _unix(when: datetime | None) -> str | None:
    return None if when is None else f"{when.timestamp():.9f}"
