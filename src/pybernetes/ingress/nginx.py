"""The process nginx with its files. Nothing of what it is to do is decided here.

Its configuration is tried (`nginx -t`) beside the one that runs, put in its place in one step, and read at HUP: new workers take over the
sockets, the old ones answer what they have begun. Certificates are named by their content, so what runs never sees another's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import grp
import logging
import os
import pwd
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from pybernetes import files
from pybernetes.aio.clock import Clock

from .render import Host, Rendered

_log = logging.getLogger(__name__)

WORKERS = "www-data"  # Debian's
PR_SET_PDEATHSIG = 1
QUIT_SECONDS = 8.0  # for answers that are under way; the supervisor waits for 15
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0  # before it is started again
STEADY_SECONDS = 60.0
TEST_SECONDS = 30.0
# Before it has read where its log is, "nginx: [emerg] ..."; then "2026/11/30 16:46:59 [emerg] 5300#5300: ...".
_EMERGENCY = re.compile(r"^(?:nginx:|[0-9/]+ [0-9:]+) \[(?:emerg|alert)\] (?:\d+#\d+: )?(.*)$", re.M)
_LINE = re.compile(r" in \S+\.conf(?:\.new)?:(\d+)$")
_libc = ctypes.CDLL(None, use_errno=True)


class NginxError(Exception):
    """It cannot be run; one line that says what to do."""


class Nginx:
    """One nginx. `prepare`, then `write` and `test` and `take`; `run` keeps it alive until cancelled, from the first `take` on."""

    def __init__(self, program: str, folder: Path, clock: Clock) -> None:
        path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))  # where Debian has it, and few users look
        self._program, self._folder, self._clock = shutil.which(program, path=path) or program, folder, clock
        self._process: asyncio.subprocess.Process | None = None
        self._taken = asyncio.Event()

    async def prepare(self) -> bool:
        """Folders; whether it knows `http2` as a directive. NginxError, OSError."""
        said = await self._output("-v")
        match = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
        if match is None:
            raise NginxError(f"{self._program} -v does not say its version: {said[:200]!r}")
        files.make_private_directory(self._folder)
        for folder in (self._folder, self._folder / "files", self._folder / "tmp"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)  # workers go through to their own, and list nothing
        if worker_user():
            for parent in self._folder.resolve().parents:
                if not parent.stat().st_mode & 0o001:
                    raise NginxError(
                        f"nginx' workers ({worker_user()}) cannot reach {self._folder}, since {parent} is closed to others:"
                        " choose another folder, as /run/ingress-nginx"
                    )
        end_leftovers(self._folder)
        return tuple(map(int, match.groups())) >= (1, 25, 1)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def write(self, contents: Mapping[str, bytes], readable: frozenset[str]) -> None:
        """Certificates and password files; workers read the latter."""
        group = grp.getgrnam(WORKERS).gr_gid if worker_user() else -1
        for name, content in contents.items():
            path = self._folder / "files" / name
            if path.exists() and path.read_bytes() == content:
                continue
            fresh = path.with_name(f".{name}.new")
            files.write_private(fresh, content)
            if name in readable and group >= 0:
                os.chown(fresh, 0, group)
                fresh.chmod(0o640)
            fresh.replace(path)

    async def test(self, rendered: Rendered) -> str:
        """ "" if nginx takes it, else its complaint. NginxError."""
        path = self._folder / "nginx.conf.new"
        files.write_private(path, rendered.text.encode())
        process = await self._start("-t", "-q", "-c", str(path), stderr=asyncio.subprocess.PIPE)
        try:
            async with self._clock.timeout(TEST_SECONDS):
                _, said = await process.communicate()
        except TimeoutError:
            return f"nginx -t has not ended within {TEST_SECONDS:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return ""
        text = said.decode(errors="replace")
        complaint = _EMERGENCY.search(text)
        return complaint[1] if complaint else text.strip()[-500:] or f"nginx -t ended with {process.returncode}"

    def take(self, keep: Mapping[str, bytes]) -> None:
        """What was tested last is what runs from now on; files that it does not name go."""
        (self._folder / "nginx.conf.new").replace(self._folder / "nginx.conf")
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGHUP)
        self._taken.set()
        for path in (self._folder / "files").iterdir():
            # Password files are read with each request, by old workers too, until these have gone.
            if path.name not in keep and path.suffix != ".htpasswd":
                path.unlink(missing_ok=True)

    async def run(self) -> None:
        """Until cancelled; then it has ended."""
        await self._taken.wait()
        pause = FIRST_PAUSE
        try:
            while True:
                began = self._clock.monotonic()
                path = str(self._folder / "nginx.conf")
                self._process = await self._start("-c", path, "-g", "daemon off;")
                _log.info("nginx runs as process %d", self._process.pid)
                code = await self._process.wait()
                kill_group(self._process.pid)  # workers whose master was killed would keep its ports
                if self._clock.monotonic() - began > STEADY_SECONDS:
                    pause = FIRST_PAUSE
                _log.error("nginx ended with %d; it is started again in %.1f s", code, pause)
                await self._clock.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number, seconds in ((signal.SIGQUIT, QUIT_SECONDS), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(seconds):
                    await process.wait()
                    break
        kill_group(process.pid)

    async def _output(self, argument: str) -> str:
        process = await self._start(argument, stderr=asyncio.subprocess.STDOUT, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        return out.decode(errors="replace")

    async def _start(
        self, *arguments: str, stderr: int | None = None, stdout: int | None = None
    ) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                preexec_fn=_become_child,
            )
        except OSError as error:
            raise NginxError(
                f"{self._program} cannot be run: {error.strerror} (Debian: apt-get install nginx)"
            ) from error


def _become_child() -> None:
    """A group of its own, which can be ended as a whole; and its end with ours, however that comes."""
    os.setpgid(0, 0)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def kill_group(group: int) -> None:
    """SIGKILL for all of it; nothing where it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def end_leftovers(folder: Path, proc: Path = Path("/proc")) -> None:
    """Of an nginx of this folder whose controller was killed together with it, workers may be left, who have its ports."""
    try:
        group = int((folder / "nginx.pid").read_text())
    except (OSError, ValueError):
        return
    for stat in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ProcessLookupError):
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            if name == "nginx" and int(rest.split()[2]) == group:
                os.kill(int(stat.parent.name), signal.SIGKILL)
    (folder / "nginx.pid").unlink(missing_ok=True)


def worker_user() -> str:
    """Whose the workers are; "" where we are not root, and they are ours."""
    if os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam(WORKERS).pw_name
    except KeyError:
        return "nobody"


def machine(folder: Path, http_port: int, https_port: int, http2_directive: bool, workers: int) -> Host:
    """What of this host counts for the configuration."""
    ipv6 = Path("/proc/net/if_inet6")
    try:
        resolv = Path("/etc/resolv.conf").read_text()
    except OSError:
        resolv = ""
    servers = re.findall(r"^nameserver\s+([0-9a-fA-F.:]+)\s*$", resolv, re.M)
    return Host(
        folder=str(folder),
        http_port=http_port,
        https_port=https_port,
        user=worker_user(),
        ipv6=ipv6.exists() and bool(ipv6.read_text().strip()),
        http2_directive=http2_directive,
        nameservers=tuple(f"[{each}]" if ":" in each else each for each in servers),
        workers=workers,
    )


def line_of(complaint: str) -> int:
    """The line of the configuration that nginx complains about; 0 where it names none."""
    match = _LINE.search(complaint)
    return int(match[1]) if match else 0
