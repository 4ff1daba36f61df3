"""Runs the parts of a cluster as processes: starts, restarts with back-off, stops, and logs them.

The supervisor loads what all parts share and forks: a part starts in milliseconds, and the shared pages count once. It must
therefore stay free of threads and event loops of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pybernetes import files

FIRST_DELAY = 0.5  # seconds before the first restart, doubling
MAX_DELAY = 30.0
STEADY_SECONDS = 60.0  # a part that ran so long has recovered: its failures are forgotten
STOP_SECONDS = 15.0  # between SIGTERM and SIGKILL
LOG_BYTES = 20 << 20  # a log that grows beyond is moved to NAME.log.1
TICK_SECONDS = 60.0
SAVE_SECONDS = 5.0  # between attempts to write the state on a disk that is full
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
HANDED_OVER = "PYBERNETES_HANDED_OVER"  # the variable by which a supervisor tells the one that it becomes what runs


@dataclass(frozen=True, slots=True)
class Part:
    """One process: `module`.main(arguments), or where there is no module the program of that name with the arguments.

    `environment` is added to the supervisor's; `directories` are made before each start, their owner's alone. `with_children`: what it
    has started ends with it, however it ends, as nginx' workers, who would keep its port.
    """

    name: str
    module: str = ""
    arguments: tuple[str, ...] = ()
    program: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    with_children: bool = False


@dataclass(slots=True)
class _Running:
    part: Part
    pid: int = 0
    leaving: float = 0.0  # since when it has been asked to end, as it is no more wanted as it is
    stays: bool = True  # it is started again when it has ended
    started: float = 0.0
    failures: int = 0
    restarts: int = 0
    due: float = 0.0  # when to start it (again), by time.monotonic()
    last_exit: str = ""


def restart_delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(FIRST_DELAY * 2.0 ** min(max(failures - 1, 0), 16), MAX_DELAY))


def exit_text(status: int) -> str:
    """What os.waitpid said, in words."""
    if os.WIFSIGNALED(status):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a supervisor leaves to the one that it becomes: same process, same children, other code. `lock` is an open descriptor;
    `parts` are (pid, restarts) by name."""

    lock: int = -1
    generation: int = 0
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def handed_over() -> HandedOver:
    """Of the variable, which is gone then: parts do not inherit it. Nothing, where this process began as a supervisor."""
    text = os.environ.pop(HANDED_OVER, "")
    if not text:
        return HandedOver()
    told = json.loads(text)
    before = HandedOver(told["lock"], told["generation"], {name: (pid, n) for name, (pid, n) in told["parts"].items()})
    if before.lock >= 0:
        os.set_inheritable(before.lock, False)
    return before


class Supervisor:
    """`run` returns when every part has stopped after SIGTERM or SIGINT. SIGHUP: what waits for its restart gets it now.

    With `read` the parts are read again at SIGHUP: new ones are started, those that are no more in it are ended, changed ones are ended and
    started anew. It raises OSError or ValueError for what cannot be read; then all stays as it is.

    With `renewal`, which gives a command line, the process becomes that program at SIGUSR2: a newer release's supervisor, which gets `before`
    and has the parts go on. What is forked from then on is of its release.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        logs: Path,
        state: Path,
        preload: Sequence[str] = (),
        read: Callable[[], Sequence[Part]] | None = None,
        renewal: Callable[[], Sequence[str]] | None = None,
        before: HandedOver = HandedOver(),
    ) -> None:
        self._parts, self._read = _adopted(parts, before), read
        self._renewal, self._lock, self._generation = renewal, before.lock, before.generation
        self._logs, self._state, self._preload = logs, state, preload
        self._stopping = 0.0  # when the stop began
        self._saved = True  # what `status` reads is as it should be
        self._hurry = False  # somebody has mended something
        self._renewing = False  # there is a newer release

    def run(self) -> None:
        """Starts all parts and keeps them up; returns after SIGTERM or SIGINT, when the last has ended."""
        files.make_private_directory(self._logs)
        for module in self._preload:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # the children's collector leaves the shared pages alone
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._signalled)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # who handed over has blocked them
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            self._reap()
            self._start_due()
            self._save()
            while any(running.pid for running in self._parts) or not self._stopping:
                selector.select(self._wait_seconds())
                with contextlib.suppress(BlockingIOError):
                    os.read(reader, 4096)
                self._step()
        signal.set_wakeup_fd(previous)
        self._state.unlink(missing_ok=True)

    def _signalled(self, number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            self._hurry = True
        elif number == signal.SIGUSR2:
            self._renewing = self._renewal is not None
        elif number != signal.SIGCHLD and not self._stopping:
            self._stopping = time.monotonic()

    def _wait_seconds(self) -> float:
        if self._stopping:
            return 0.2
        due = [r.due for r in self._parts if not r.pid]
        due += [max(r.leaving + STOP_SECONDS, time.monotonic() + 0.2) for r in self._parts if r.pid and r.leaving]
        if not self._saved:
            due.append(time.monotonic() + SAVE_SECONDS)
        return max(min(due, default=time.monotonic() + TICK_SECONDS) - time.monotonic(), 0.0)

    def _step(self) -> None:
        if self._renewing and not self._stopping:
            self._renewing = False
            self._become_newer()
        changed = self._reap()
        if self._stopping:
            self._stop_some()
        else:
            hurry, self._hurry = self._hurry, False  # before the reading: a signal during it asks for another one
            if hurry:
                self._read_again()
            self._end_leaving()
            changed = self._start_due(hurry) or changed
        for running in self._parts:
            self._rotate(self._logs / f"{running.part.name}.log")
        if changed or not self._saved:
            self._save()

    def _reap(self) -> bool:
        changed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return changed
            if not pid:
                return changed
            for running in self._parts:
                if running.pid == pid:
                    if running.part.with_children:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(pid, signal.SIGKILL)
                    self._ended(running, status)
                    changed = True
            self._parts = [running for running in self._parts if running.pid or running.stays]

    def _read_again(self) -> None:
        """What the parts are now."""
        if self._read is None:
            return
        try:
            parts = self._read()
        except (OSError, ValueError) as error:
            _say(f"the parts stay as they are: {error}")
            return
        fresh = {part.name: part for part in parts}
        for running in self._parts:
            part = fresh.pop(running.part.name, None)
            if part == running.part and running.stays:
                continue
            running.stays, running.part = part is not None, part or running.part
            if running.pid and not running.leaving:
                os.kill(running.pid, signal.SIGTERM)
                running.leaving = time.monotonic()
        self._parts = [running for running in self._parts if running.pid or running.stays]
        self._parts += [_Running(part) for part in fresh.values()]

    def _become_newer(self) -> None:
        """Does not return, but where there is no such program. Signals wait meanwhile, children are reaped afterwards."""
        assert self._renewal is not None
        parts = {running.part.name: (running.pid, running.restarts) for running in self._parts if running.pid}
        told = {"lock": self._lock, "generation": self._generation + 1, "parts": parts}
        try:
            command = self._renewal()
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            if self._lock >= 0:
                os.set_inheritable(self._lock, True)
            os.execve(command[0], list(command), {**os.environ, HANDED_OVER: json.dumps(told)})
        except (OSError, ValueError) as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            if self._lock >= 0:
                os.set_inheritable(self._lock, False)
            _say(f"no newer release takes over: {error}")

    def hold(self, lock: int) -> None:
        """The lock that is handed on with the parts, an open descriptor."""
        self._lock = lock

    def _end_leaving(self) -> None:
        """What does not end by itself in time is killed."""
        for running in self._parts:
            if running.pid and running.leaving and time.monotonic() > running.leaving + STOP_SECONDS:
                os.kill(running.pid, signal.SIGKILL)

    def _ended(self, running: _Running, status: int) -> None:
        now = time.monotonic()
        if running.leaving and not self._stopping:
            running.pid, running.leaving, running.failures, running.due = 0, 0.0, 0, now
            return
        running.failures = 1 if now - running.started > STEADY_SECONDS else running.failures + 1
        running.pid, running.last_exit = 0, exit_text(status)
        running.due = now + restart_delay(running.failures)
        if not self._stopping:
            running.restarts += 1
            delay = running.due - now
            _say(f"{running.part.name} ended with {running.last_exit}; restart in {delay:.1f} s")

    def _start_due(self, hurry: bool = False) -> bool:
        started = False
        for running in self._parts:
            if not running.pid and (hurry or running.due <= time.monotonic()):
                running.pid, running.started = self._fork(running.part), time.monotonic()
                started = True
        return started

    def _stop_some(self) -> None:
        """In reverse order of start, one after the other: the API server goes last, so that the others can say goodbye."""
        late = time.monotonic() - self._stopping > STOP_SECONDS
        for running in reversed(self._parts):
            if running.pid:
                os.kill(running.pid, signal.SIGKILL if late else signal.SIGTERM)
                if not late:
                    return

    def _fork(self, part: Part) -> int:
        parent = os.getpid()
        # What somebody sends to the child before it has left our handlers waits until then; with them it would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if pid:
            return pid
        code = 70
        try:
            _become_part(part.name, self._logs / f"{part.name}.log", parent)
            if part.with_children:
                os.setpgid(0, 0)
            os.environ.update(part.environment)
            for path in part.directories:
                files.make_private_directory(Path(path))
            if not part.module:
                _execute(part)
            main = importlib.import_module(part.module).main
            code = int(main(list(part.arguments)) or 0)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):  # the log's disk may be full
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    @staticmethod
    def _rotate(log: Path) -> None:
        """Copies and cuts: the part goes on writing to the same file (opened for appending)."""
        try:
            if log.stat().st_size > LOG_BYTES:
                files.write_private(log.with_suffix(".log.1"), log.read_bytes())
                os.truncate(log, 0)
        except OSError as error:
            _say(f"log {log} cannot be rotated: {error.strerror}")

    def _save(self) -> None:
        """What `status` reads, replaced in one step."""
        parts = [
            {"name": r.part.name, "pid": r.pid, "restarts": r.restarts, "lastExit": r.last_exit} for r in self._parts
        ]
        text = json.dumps({"pid": os.getpid(), "parts": parts, "generation": self._generation})
        fresh = self._state.with_suffix(".new")
        try:
            files.write_private(fresh, text.encode())
            fresh.replace(self._state)
            self._saved = True
        except OSError as error:
            self._saved = False
            _say(f"{self._state} cannot be written: {error.strerror}")


def _adopted(parts: Sequence[Part], before: HandedOver) -> list[_Running]:
    """Those that run already go on; what nobody wants any more is on its way out."""
    now, names = time.monotonic(), {part.name for part in parts}
    left = []
    for name, (pid, _) in before.parts.items():
        if name not in names:
            os.kill(pid, signal.SIGTERM)  # a child that is not reaped yet: nobody else has its pid
            left.append(_Running(Part(name), pid, leaving=now, stays=False))
    running = []
    for part in parts:
        pid, restarts = before.parts.get(part.name, (0, 0))
        running.append(_Running(part, pid, started=now if pid else 0.0, restarts=restarts))
    return [*running, *left]


def _say(text: str) -> None:
    """A line on stderr if that can be written: a supervisor outlives a full disk."""
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())


def _execute(part: Part) -> None:
    """The fork becomes the program. SystemExit, with a word in the log, where there is none."""
    try:
        os.execvp(part.program, [part.program, *part.arguments])
    except OSError as error:
        print(f"{part.program} cannot be started: {error.strerror}", file=sys.stderr)
        raise SystemExit(127) from error


def _become_part(name: str, log: Path, parent: int) -> None:
    """In the child: default signals, its own log and name (as `ps` and `doctor` see it), and an end with the parent."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)  # the kernel keeps 15 bytes of it
    if os.getppid() != parent:  # the parent died before the line above
        os._exit(1)
    file = files.open_private(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
