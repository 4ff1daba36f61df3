"""What the supervisor says of its parts (supervisor.json), and whether it lives (supervisor.lock)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from pybernetes.component.command import Failure

from . import layout as layouts
from .layout import Layout
from .settings import Settings


class PartState(msgspec.Struct, frozen=True, rename="camel"):
    """`pid` 0: not running now. `last_exit` is in words."""

    name: str
    pid: int
    restarts: int
    last_exit: str


class SupervisorState(msgspec.Struct, frozen=True):
    pid: int
    parts: list[PartState]


class AlreadyRunning(Exception):
    """Somebody else holds the lock."""


def hold(lock: Path) -> int:
    """Takes the lock until the process ends; the file descriptor, which forks must not keep. AlreadyRunning."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise AlreadyRunning(str(lock)) from None
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())
    return file


def supervisor_pid(layout: Layout) -> int:
    """Of the supervisor that runs, 0 if none does. The lock tells, since a pid alone may be another's after a reboot."""
    try:
        file = os.open(layout.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(file, 32) or b"0")
    finally:
        os.close(file)
    return 0


def read(layout: Layout) -> SupervisorState | None:
    """None while there is nothing to read."""
    try:
        return msgspec.json.decode(layout.state.read_bytes(), type=SupervisorState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def load_settings(layout: Layout) -> Settings | None:
    """Of the cluster in this directory, None if there is none. ValueError for a file that cannot be read as such."""
    try:
        return msgspec.json.decode(layout.settings.read_bytes(), type=Settings)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ValueError(f"{layout.settings}: {error}") from error


def existing(data_dir: str) -> tuple[Layout, Settings]:
    """The cluster in a directory as it was typed. Failure if there is none, or its settings cannot be read."""
    layout = Layout(layouts.data_dir(data_dir))
    try:
        settings = load_settings(layout)
    except ValueError as error:
        raise Failure(str(error)) from error
    if settings is None:
        raise Failure(f"no cluster in {layout.root}; make one with `pybernetes up`")
    return layout, settings
