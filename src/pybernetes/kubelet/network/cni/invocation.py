"""Runs one plugin (upstream: pkg/invoke/raw_exec.go, find.go).

A plugin, with all that it starts, is a process group: it ends within its time, or is killed. It does not end because a kubelet is killed:
the next kubelet waits for those of the former one (`PluginPrograms.alone`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import signal
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pybernetes.aio.clock import Clock
from pybernetes.files import make_private_directory, open_private

from .configuration import quoted

MAX_OUTPUT = 1 << 20  # bytes of a result; real ones have some kB
MAX_PROBLEMS = 64 << 10  # of what it writes to its standard error; the rest is left out
MAX_TEXT = 4096  # characters of an error's text: it becomes an event, or a Node's condition
BUSY_TRIES, BUSY_SECONDS = 6, 1.0  # a program that is just being written is tried again so often, as upstream
GRACE_SECONDS = 5.0  # for a plugin that runs while the kubelet ends
ALONE_SECONDS = 0.1  # between looks at whether somebody else's plugins still run


class PluginError(Exception):
    """A plugin refused, or could not be run: CNI's code and texts. `told`: the plugin itself says so."""

    def __init__(self, message: str, code: int = 0, details: str = "", *, told: bool = False) -> None:
        message, details = message[:MAX_TEXT], details[:MAX_TEXT]
        super().__init__(f"{message}; {details}" if details else message)
        self.code, self.message, self.details, self.told = code, message, details, told


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process did; `status` as Go words it, "" for success."""

    status: str
    output: bytes
    problems: bytes


def error_of(ended: Ended) -> PluginError:
    """Of a plugin that failed."""
    if not ended.output:
        if not ended.problems:
            return PluginError(f"netplugin failed with no error message: {ended.status}")
        return PluginError(f"netplugin failed: {quoted(ended.problems.decode(errors='replace'))}: {ended.status}")
    try:
        document = json.loads(ended.output)
        if not isinstance(document, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        text = quoted(ended.output.decode(errors="replace"))
        return PluginError(f"netplugin failed but error parsing its diagnostic message {text}: {error}")
    code = document.get("code")
    return PluginError(
        str(document.get("msg") or ""),
        code if isinstance(code, int) else 0,
        str(document.get("details") or ""),
        told=True,
    )


class PluginPrograms:
    """The programs of --cni-bin-dir."""

    def __init__(self, path: Sequence[str], clock: Clock, lock: Path) -> None:
        """`lock` is a file that every plugin holds while it runs."""
        self.path = tuple(path)
        self._clock, self._lock_path = clock, lock
        self._lock = -1

    def find(self, plugin: str) -> str:
        """Its file. PluginError."""
        if not plugin:
            raise PluginError("no plugin name provided")
        if "/" in plugin:
            raise PluginError(f"invalid plugin name: {plugin}")
        if not self.path:
            raise PluginError("no paths provided")
        for folder in self.path:
            program = os.path.join(folder, plugin)
            with contextlib.suppress(OSError, ValueError):
                if stat.S_ISREG(os.stat(program).st_mode):
                    return program
        raise PluginError(f"failed to find plugin {quoted(plugin)} in path [{' '.join(self.path)}]")

    async def alone(self, seconds: float) -> bool:
        """Waits until no plugin of an earlier kubelet runs any more; False where one still does. OSError."""
        if self._lock < 0:
            make_private_directory(self._lock_path.parent)
            self._lock = open_private(self._lock_path, os.O_RDWR | os.O_CREAT)
        end = self._clock.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if self._clock.monotonic() >= end:
                    return False
            await self._clock.sleep(ALONE_SECONDS)

    async def run(self, program: str, data: bytes, variables: Mapping[str, str], seconds: float) -> bytes:
        """Its output. PluginError where it fails or has not ended after `seconds`. One whose caller is cancelled gets a moment more."""
        for _ in range(BUSY_TRIES):
            try:
                ended = await self._run(program, data, {**os.environ, **variables}, seconds)
            except OSError as error:
                if error.errno != errno.ETXTBSY:
                    why = f"fork/exec {program}: {(error.strerror or str(error)).lower()}"
                    raise error_of(Ended(why, b"", b"")) from None
                await self._clock.sleep(BUSY_SECONDS)
                continue
            if ended.status:
                raise error_of(ended)
            return ended.output
        raise error_of(Ended(f"fork/exec {program}: text file busy", b"", b""))

    async def _run(self, program: str, data: bytes, variables: Mapping[str, str], seconds: float) -> Ended:
        given = os.memfd_create("input")
        output, problems = _Output(MAX_OUTPUT), _Output(MAX_PROBLEMS)
        try:
            os.pwrite(given, data, 0)
            process = await asyncio.create_subprocess_exec(
                program,
                stdin=given,
                stdout=output.end,
                stderr=problems.end,
                env=dict(variables),
                start_new_session=True,
                pass_fds=(self._lock,) if self._lock >= 0 else (),
            )
            try:
                output.collect(lambda: _kill(process.pid))
                problems.collect(lambda: None)
                late = await self._late(process, seconds)
            finally:
                if process.returncode is None:
                    _kill(process.pid)
                    await asyncio.shield(process.wait())
            output.drain()
            problems.drain()
        finally:
            os.close(given)
            output.close()
            problems.close()
        status = _status(process.returncode or 0)
        if late:
            return Ended(f"{status} (it had not ended after {seconds:g} s)", b"", bytes(problems.data))
        if output.excessive:
            return Ended(f"{status} (it wrote more than {MAX_OUTPUT} bytes)", b"", bytes(problems.data))
        return Ended(status, bytes(output.data), bytes(problems.data))

    async def _late(self, process: asyncio.subprocess.Process, seconds: float) -> bool:
        """Whether it has not ended by then. Where this is cancelled it may go on for a moment: what is half done is hard to undo."""
        try:
            async with self._clock.timeout(seconds):
                await process.wait()
        except TimeoutError:
            return True
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(GRACE_SECONDS):
                    await process.wait()
            raise
        return False

    def close(self) -> None:
        """Plugins that still run go on holding the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class _Output:
    """What a process writes to `end`, up to a limit; whether other processes keep that open does not matter."""

    def __init__(self, limit: int) -> None:
        self.data, self.excessive = bytearray(), False
        self._limit = limit
        self._source, self.end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._source, False)
        self._watched = False
        self._exceeded: Callable[[], None] = lambda: None

    def collect(self, exceeded: Callable[[], None]) -> None:
        """From now on; `exceeded` is called once there is more than the limit."""
        self._close_end()
        self._exceeded = exceeded
        asyncio.get_running_loop().add_reader(self._source, self._read)
        self._watched = True

    def _read(self) -> bool:
        """One piece; whether there may be more."""
        try:
            piece = os.read(self._source, 1 << 16)
        except BlockingIOError:
            return False
        if not piece:
            self._unwatch()
            return False
        room = self._limit - len(self.data)
        self.data += piece[:room]
        if len(piece) > room and not self.excessive:
            self.excessive = True
            self._exceeded()
        return True

    def drain(self) -> None:
        """What a process that has ended left in the pipe."""
        while not self.excessive and self._read():
            pass

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            asyncio.get_running_loop().remove_reader(self._source)

    def _close_end(self) -> None:
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def close(self) -> None:
        self._unwatch()
        self._close_end()
        os.close(self._source)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _status(returncode: int) -> str:
    """As Go's ExitError."""
    if returncode >= 0:
        return f"exit status {returncode}" if returncode else ""
    words = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated", signal.SIGSEGV: "segmentation fault"}
    return f"signal: {words.get(signal.Signals(-returncode), signal.Signals(-returncode).name)}"
