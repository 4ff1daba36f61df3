"""A part of a volume in a container, without a way out of the volume (upstream: pkg/volume/util/subpath/subpath_linux.go)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from . import mount


class Escapes(OSError):
    """The path leads out of the volume."""


def _open_inside(volume: Path, path: str) -> int:
    """The path's O_PATH descriptor. Every component is opened for itself, so that a link put in meanwhile is not followed."""
    descriptor = os.open(volume, os.O_PATH | os.O_DIRECTORY)
    for part in Path(path).parts:
        try:
            inner = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        if stat.S_ISLNK(os.fstat(inner).st_mode):
            os.close(inner)
            raise Escapes(f"{path}: a symbolic link appeared in it")
        descriptor = inner
    return descriptor


def resolve(volume: Path, sub_path: str) -> str:
    """The path in the volume with its links followed; Escapes where they lead out."""
    base = os.path.realpath(volume)
    full = os.path.realpath(os.path.join(base, sub_path))
    if full != base and not full.startswith(base + "/"):
        raise Escapes(f"subpath {sub_path!r} not within volume path {base!r}")
    return os.path.relpath(full, base)


def make(volume: Path, sub_path: str) -> None:
    """Makes the directories that are not there; the last gets the volume's own permissions."""
    inner = resolve(volume, sub_path)
    full = volume / inner
    if full.exists():
        return
    permissions = stat.S_IMODE(os.stat(volume).st_mode) & 0o777
    full.mkdir(parents=True, mode=0o755)
    os.chmod(full, permissions)


def bind(volume: Path, sub_path: str, place: Path) -> None:
    """Shows the part of the volume at `place`, once."""
    if os.path.ismount(place) or str(place) in mount.mounted_below(place):
        return
    inner = resolve(volume, sub_path)
    descriptor = _open_inside(Path(os.path.realpath(volume)), "" if inner == "." else inner)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch(exist_ok=True)
        mount.bind(f"/proc/self/fd/{descriptor}", place)
    finally:
        os.close(descriptor)
