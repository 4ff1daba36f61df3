"""Snapshots of etcd as files: taken from a member, looked at, made into a member's data by etcd's own tools."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pybernetes import files
from pybernetes.store.backends import Location
from pybernetes.store.etcd.maintenance import DIGEST_BYTES, Maintenance

from .access import opened

TOOLS = ("etcdutl", "etcdctl")  # the first since etcd 3.5; the second does it up to 3.5
BLOCK = 512  # bbolt's files are made of whole pages, the digest comes behind: how etcd's tools know that there is one
READ_BYTES = 1 << 20
TOOL_SECONDS = 600.0


class SnapshotError(Exception):
    """A snapshot that cannot be taken, read or restored; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Description:
    """As etcd's tool says; `size` in bytes."""

    hash: int
    revision: int
    keys: int
    size: int


@dataclass(frozen=True, slots=True)
class Member:
    """For whom data are made of a snapshot: its own name and peer URL, and NAME=URL of all members, itself among them."""

    name: str
    peer_url: str
    initial_cluster: str
    token: str
    data_dir: Path


async def save(where: Location, path: Path, tell: Callable[[int], None] = lambda size: None) -> int:
    """From the first member that answers; bytes. The file is there when it is whole, its digest right and on the disk, and not before.

    Mode 0600: it holds every Secret. SnapshotError, RPCError, LocationError, OSError; nothing is left then.
    """
    if path.exists():
        raise SnapshotError(f"{path} is there already: choose another name")
    partial = path.with_name(f"{path.name}.partial")
    try:
        async with opened(where) as channel:
            with os.fdopen(files.open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
                size, right = 0, Trailing()
                async for piece, _ in Maintenance(channel).snapshot():
                    file.write(piece)
                    right.update(piece)
                    size += len(piece)
                    tell(size)
                if not right.matches:
                    raise SnapshotError("what came is not what etcd has sent: its SHA-256 is another one; try again")
                file.flush()
                os.fsync(file.fileno())
        os.link(partial, path)
        sync_directory(path.parent)
        return size
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


class Trailing:
    """Whether bytes that come in pieces end with the SHA-256 of all before."""

    def __init__(self) -> None:
        self._digest, self._last = hashlib.sha256(), b""

    def update(self, piece: bytes) -> None:
        """The next bytes."""
        held = self._last + piece
        self._digest.update(held[:-DIGEST_BYTES])
        self._last = held[-DIGEST_BYTES:]

    @property
    def matches(self) -> bool:
        """Of all that has come."""
        return self._last == self._digest.digest()


def check(path: Path) -> None:
    """SnapshotError where the file is none, or not as it was saved."""
    right, size = Trailing(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                right.update(piece)
                size += len(piece)
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error
    if size % BLOCK != DIGEST_BYTES:
        raise SnapshotError(
            f"{path} is no snapshot of etcd, or not all of it ({size} bytes without a digest at their end)"
        )
    if not right.matches:
        raise SnapshotError(f"{path} is damaged: its content has another SHA-256 than was written at its end")


def describe(path: Path) -> Description:
    """What is in it. SnapshotError."""
    check(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # the tool opens for writing, older ones even write
        copy = Path(folder, "snapshot")
        shutil.copyfile(path, copy)
        told = _run(_tool(), "snapshot", "status", str(copy), "--write-out=json")
    try:
        status = json.loads(told)
        return Description(status["hash"], status["revision"], status["totalKey"], status["totalSize"])
    except (ValueError, LookupError, TypeError) as error:
        raise SnapshotError(f"the tool's answer cannot be read: {told[:200]!r}") from error


def restore(path: Path, member: Member) -> None:
    """Makes the data directory, which must not be there or be empty; mode 0700. It is there when it is whole. SnapshotError, OSError.

    The member is of a new cluster then, which those of before have nothing to do with.
    """
    check(path)
    tool, target = ready(member.data_dir), member.data_dir
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=".restore-"
    ) as folder:  # of the same disk: moved in one step
        data = Path(folder, "data")
        _run(
            tool,
            "snapshot",
            "restore",
            str(path),
            f"--data-dir={data}",
            f"--name={member.name}",
            f"--initial-advertise-peer-urls={member.peer_url}",
            f"--initial-cluster={member.initial_cluster}",
            f"--initial-cluster-token={member.token}",
        )
        data.chmod(files.PRIVATE_DIRECTORY)
        if target.exists():
            target.rmdir()
        data.rename(target)
    sync_directory(target.parent)


def ready(target: Path) -> str:
    """The tool that makes data there. SnapshotError where there is none, or something in the way."""
    if target.exists() and any(target.iterdir()):
        raise SnapshotError(f"{target} is not empty: stop etcd, and move what is there out of the way first")
    return _tool()


def _tool() -> str:
    for name in TOOLS:
        if program := shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/bin"):
            return program
    raise SnapshotError(
        f"neither {' nor '.join(TOOLS)} is here, and a member's data are etcd's own to write: apt-get install etcd-client"
    )


def _run(*command: str) -> str:
    environment = {**os.environ, "ETCDCTL_API": "3"}
    for name in [one for one in environment if one.startswith(("ETCDCTL_", "ETCDUTL_")) and one != "ETCDCTL_API"]:
        del environment[name]  # of servers that are not asked here
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_SECONDS, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SnapshotError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise SnapshotError(f"{' '.join(command[:3])}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def sync_directory(path: Path) -> None:
    """So that a file's new name outlives a power failure."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
