"""What the supervisor says of its parts (supervisor.json), and whether it lives (supervisor.lock)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from pybernetes import files
from pybernetes.component.command import Failure

from . import layout as layouts
from .layout import Layout
from .settings import ClusterConfig

GLANCE_SECONDS = 0.2  # longer than who only looks (supervisor_pid) holds a lock


class PartState(msgspec.Struct, frozen=True, rename="camel"):
    """`pid` 0: not running now. `last_exit` is in words."""

    name: str
    pid: int
    restarts: int
    last_exit: str


class SupervisorState(msgspec.Struct, frozen=True):
    """`generation`: how often a newer release has taken over; -1 of one that lets none."""

    pid: int
    parts: list[PartState]
    generation: int = -1


class AlreadyRunning(Exception):
    """Another process holds the lock; the kernel gives it up when that one ends, however it does."""


def hold(lock: Path) -> int:
    """Takes the lock until the process ends; the file descriptor, which forks must not keep. AlreadyRunning."""
    try:
        return files.hold(lock, GLANCE_SECONDS)
    except files.Held as held:
        raise AlreadyRunning(str(lock)) from held


def supervisor_pid(layout: Layout) -> int:
    """Of the supervisor that runs, 0 if none does."""
    return holder(layout.lock)


def holder(lock: Path) -> int:
    """Who holds a lock, 0 if nobody does. The lock tells, since a pid alone may be another's after a reboot."""
    try:
        file = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(file, 32) or b"0")
    finally:
        os.close(file)
    return 0


def alive(pid: int) -> bool:
    """Whether a supervisor has this pid: after a kill its parts hold the lock for a moment longer, and the pid may be another's."""
    try:
        return b"supervise" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def read(layout: Layout) -> SupervisorState | None:
    """None while there is nothing to read."""
    try:
        return msgspec.json.decode(layout.state.read_bytes(), type=SupervisorState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def load_settings(layout: Layout) -> ClusterConfig | None:
    """Of the cluster in this directory, None if there is none. ValueError for a file that cannot be read as such."""
    try:
        return msgspec.json.decode(layout.settings.read_bytes(), type=ClusterConfig)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ValueError(f"{layout.settings} cannot be read ({error})") from error


def existing(data_dir: str) -> tuple[Layout, ClusterConfig]:
    """The cluster in a directory as it was typed. Failure if there is none, or its settings cannot be read."""
    layout = Layout(layouts.data_dir(data_dir))
    try:
        settings = load_settings(layout)
    except ValueError as error:
        raise Failure(
            f"{error}; `pybernetes down` works without it, then delete it and run `pybernetes up` as before"
        ) from error
    if settings is None:
        raise Failure(f"no cluster in {layout.root}; make one with `pybernetes up`")
    return layout, settings
