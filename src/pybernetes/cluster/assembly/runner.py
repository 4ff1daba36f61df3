"""Who runs a host's daemons: systemd, or where there is none our supervisor, started once and apart from whoever asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import msgspec

from pybernetes import files
from pybernetes.deploy.daemons.model import Daemon, File
from pybernetes.deploy.daemons.render import supervised, systemd
from pybernetes.deploy.upgradeplan import Difference
from pybernetes.pki.files import write

from .. import state
from ..host import SBIN, find
from . import hoststate

SYSTEMD, SUPERVISOR = "systemd", "supervisor"
WAYS = (SYSTEMD, SUPERVISOR)
SYSTEMD_RUNS = Path("/run/systemd/system")  # sd_booted(3)
LOGS = Path("/var/log/pybernetes")
STOP_SECONDS, COMMAND_SECONDS = 60.0, 120.0
# In the order in which a host's daemons start; they end in the opposite one.
ORDER = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("nginx", "haproxy", "keepalived", "kubelet", "kube-proxy", "flanneld", "kube-network-policies", "balancer"),
)


class RunError(Exception):
    """A daemon that cannot be started or ended; says what was tried."""


class Runner(Protocol):
    """OSError, RunError. Files of daemons are written before these start."""

    def put(self, daemons: Sequence[Daemon]) -> None:
        """Has them run as described, from now on; what runs so already goes on, what has changed is started anew."""
        ...

    def restart(self, name: str) -> None:
        """Has it read its files again."""
        ...

    def stop(self, names: Sequence[str]) -> None:
        """Ends daemons for good, in the opposite order of their start."""
        ...

    def told(self, name: str) -> Sequence[str]:
        """The arguments of a daemon as it is described now; none where there is no such."""
        ...

    def differences(self, daemons: Sequence[Daemon]) -> Sequence[Difference]:
        """What of these daemons' files, and of their descriptions, is not as `describe` would write it."""
        ...

    def described_in(self, daemon: Daemon) -> Sequence[Path]:
        """All files that `describe` writes."""
        ...

    def describe(self, daemons: Sequence[Daemon]) -> None:
        """Writes how they run, and starts nothing."""
        ...

    def again(self, names: Sequence[str]) -> None:
        """Has each run as it is described now, in a new process, by the release that the description names. Returns when these are there."""
        ...

    def pinned(self, name: str) -> bool:
        """Whether its description says of which release of pybernetes it is, as an image's name does: what is described alike runs on."""
        ...


def default_way() -> str:
    """systemd where that runs this host."""
    return SYSTEMD if SYSTEMD_RUNS.is_dir() else SUPERVISOR


def runner(way: str) -> Runner:
    """By its name, of WAYS."""
    return Systemd() if way == SYSTEMD else Supervised()


def write_files(daemon: Daemon) -> bool:
    """What the daemon reads; whether anything is another than before. OSError."""
    changed = False
    for file in daemon.files:
        path, content = Path(file.path), file.text.encode()
        if path.exists() and path.read_bytes() == content:
            continue
        changed = True
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content, file.mode)
    return changed


def file_differences(daemon: str, described: Iterable[File]) -> Sequence[Difference]:
    """Of a daemon's files those that are there with another text, or not at all. OSError."""
    differences = []
    for file in described:
        path = Path(file.path)
        before = path.read_text() if path.exists() else ""
        if before != file.text:
            differences.append(Difference(daemon, file.path, before, file.text))
    return differences


class Supervised:
    """By `pybernetes supervise --programs`."""

    def __init__(self, programs: Path = hoststate.PROGRAMS, logs: Path = LOGS) -> None:
        self._programs, self._logs = programs, logs
        self._state, self._lock = programs.with_suffix(".state"), programs.with_suffix(".lock")
        self._started: subprocess.Popen[bytes] | None = None  # the supervisor, where this process started it

    def put(self, daemons: Sequence[Daemon]) -> None:
        present = {program.name: program for program in self._described()}
        stale = [daemon.name for daemon in daemons if write_files(daemon)]
        fresh = {program.name: program for program in supervised.programs(daemons).programs}
        stale = [name for name in stale if present.get(name) == fresh[name]]
        self._write({**present, **fresh}.values())
        pid = self.pid()
        if not pid:
            self._start()
            return
        os.kill(pid, signal.SIGHUP)
        for name in stale:
            self.restart(name)

    def restart(self, name: str) -> None:
        """It ends, and its supervisor starts it again."""
        supervisor = self._running()
        if supervisor.get(name):
            os.kill(supervisor[name], signal.SIGTERM)

    def told(self, name: str) -> Sequence[str]:
        return next((program.argv[1:] for program in self._described() if program.name == name), ())

    def differences(self, daemons: Sequence[Daemon]) -> Sequence[Difference]:
        present = {program.name: program for program in self._described()}
        changed = [one for daemon in daemons for one in file_differences(daemon.name, daemon.files)]
        for program in supervised.programs(daemons).programs:
            if present.get(program.name) != program:
                there = present.get(program.name)
                before = supervised.shown(there) if there is not None else ""
                changed.append(Difference(program.name, str(self._programs), before, supervised.shown(program)))
        return changed

    def described_in(self, daemon: Daemon) -> Sequence[Path]:
        return [self._programs, *(Path(file.path) for file in daemon.files)]

    def describe(self, daemons: Sequence[Daemon]) -> None:
        for daemon in daemons:
            write_files(daemon)
        fresh = {program.name: program for program in supervised.programs(daemons).programs}
        self._write({**{program.name: program for program in self._described()}, **fresh}.values())

    def again(self, names: Sequence[str]) -> None:
        pid = self.pid()
        if not pid:
            self._start()
            self._until(lambda: all(self._running().get(name) for name in names), "its programs do not start")
            return
        state_before = self._state_of()
        if state_before.generation < 0:
            raise RunError(
                f"the supervisor (pid {pid}) is of a release that lets none take over: end it (kill {pid}), and run this command again"
            )
        os.kill(pid, signal.SIGUSR2)
        self._until(
            lambda: self._state_of().generation > state_before.generation,
            f"the supervisor (pid {pid}) does not renew itself",
        )
        before = self._running()
        for name in names:
            self.restart(name)
        self._until(
            lambda: all(self._running().get(name, 0) not in (0, before.get(name, 0)) for name in names),
            f"{', '.join(names)}: no new process; see {self._logs}",
        )

    def pinned(self, name: str) -> bool:
        return False

    def stop(self, names: Sequence[str]) -> None:
        left = [program for program in self._described() if program.name not in names]
        pid = self.pid()
        if left:
            self._write(left)
            if pid:
                os.kill(pid, signal.SIGHUP)
                self._until(lambda: not any(self._running().get(name) for name in names), "its programs do not end")
            return
        if pid:
            os.kill(pid, signal.SIGTERM)
            self._until(lambda: not self.pid(), f"the supervisor (pid {pid}) does not end")
        if self._started is not None:
            self._started.wait()
        for path in (self._programs, self._state, self._lock):
            path.unlink(missing_ok=True)

    def pid(self) -> int:
        """Of the supervisor, 0 where none runs."""
        return state.holder(self._lock)

    def _described(self) -> Sequence[supervised.Program]:
        try:
            return supervised.parse(self._programs.read_bytes()).programs
        except FileNotFoundError:
            return []
        except msgspec.DecodeError as error:
            raise RunError(f"{self._programs} cannot be read: {error}") from error

    def _write(self, programs: Iterable[supervised.Program]) -> None:
        ordered = sorted(programs, key=lambda program: ORDER.index(program.name))
        files.make_private_directory(self._programs.parent)
        write(self._programs, supervised.text(supervised.Programs(programs=ordered, python=sys.executable)))

    def _running(self) -> dict[str, int]:
        return {part.name: part.pid for part in self._state_of().parts}

    def _state_of(self) -> state.SupervisorState:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=state.SupervisorState)
        except (FileNotFoundError, msgspec.DecodeError):
            return state.SupervisorState(0, [])

    def _start(self) -> None:
        """Returns when it listens."""
        self._state.unlink(missing_ok=True)
        files.make_private_directory(self._logs)
        log_file = files.open_private(self._logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        command = [
            sys.executable,
            "-m",
            "pybernetes",
            "supervise",
            f"--programs={self._programs}",
            f"--log-dir={self._logs}",
        ]
        path = os.pathsep.join(
            dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *SBIN, "/usr/bin", "/bin"])
        )
        with os.fdopen(log_file, "ab") as log:
            started = self._started = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PATH": path},
            )
        text = f"the supervisor does not start: see {self._logs}/supervisor.log"
        self._until(lambda: self._state.exists() or started.poll() is not None, text)
        if started.poll() is not None:
            raise RunError(text)

    @staticmethod
    def _until(check: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + STOP_SECONDS
        while not check():
            if time.monotonic() > end:
                raise RunError(otherwise)
            time.sleep(0.05)


class Systemd:
    """By units of systemd's."""

    def __init__(self, folder: Path = Path(systemd.FOLDER)) -> None:
        self._folder = folder

    def put(self, daemons: Sequence[Daemon]) -> None:
        changed = []
        for daemon in daemons:
            stale = write_files(daemon)
            unit = self._unit(daemon)
            path = Path(unit.path)
            if path.exists() and path.read_text() == unit.text:
                changed += [daemon.name] if stale else []
                continue
            write(path, unit.text.encode(), unit.mode)
            changed.append(daemon.name)
        if changed:
            self._systemctl("daemon-reload")
        for daemon in daemons:
            if daemon.name in changed:
                self._systemctl("enable", daemon.name)
                self._systemctl("restart", "--no-block", daemon.name)
            else:
                self._systemctl("start", "--no-block", daemon.name)

    def restart(self, name: str) -> None:
        self._systemctl("restart", "--no-block", name)

    def told(self, name: str) -> Sequence[str]:
        path = self._folder / f"{name}.service"
        return systemd.arguments(path.read_text()) if path.exists() else ()

    def differences(self, daemons: Sequence[Daemon]) -> Sequence[Difference]:
        return [one for daemon in daemons for one in file_differences(daemon.name, (*daemon.files, self._unit(daemon)))]

    def described_in(self, daemon: Daemon) -> Sequence[Path]:
        return [Path(file.path) for file in (*daemon.files, self._unit(daemon))]

    def describe(self, daemons: Sequence[Daemon]) -> None:
        for daemon in daemons:
            write_files(daemon)
            unit = self._unit(daemon)
            write(Path(unit.path), unit.text.encode(), unit.mode)

    def again(self, names: Sequence[str]) -> None:
        self._systemctl("daemon-reload")
        for name in names:
            self._systemctl("enable", name)
            self._systemctl("restart", name)

    def pinned(self, name: str) -> bool:
        return False

    def stop(self, names: Sequence[str]) -> None:
        for name in sorted(names, key=ORDER.index, reverse=True):
            path = self._folder / f"{name}.service"
            if path.exists():
                self._systemctl("disable", "--now", name)
                path.unlink()
        self._systemctl("daemon-reload")

    def _unit(self, daemon: Daemon) -> File:
        unit = systemd.unit(daemon, (sys.executable, "-m", "pybernetes"))
        return replace(unit, path=str(self._folder / Path(unit.path).name))

    @staticmethod
    def _systemctl(*words: str) -> None:
        program = find("systemctl")
        if program is None:
            raise RunError("there is no systemctl here: choose --run-with=supervisor")
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise RunError(f"systemctl {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
