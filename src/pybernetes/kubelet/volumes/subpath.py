"""A part of a volume in a container, without a way out of the volume (upstream: pkg/volume/util/subpath/subpath_linux.go)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .. import safepath
from . import mount

PLACE_MODE, PLACE_FILE_MODE = 0o750, 0o640


def make(volume: Path, sub_path: str) -> None:
    """Makes the directories that are not there, each with the volume's own permissions.

    Escapes where one would have to be made outside; whether what is there lies inside, `bind` judges.
    """
    names = safepath.components(sub_path)
    if not safepath.resolve(volume, names)[1]:
        return
    real, missing = safepath.resolve_within(volume, names)
    existing = safepath.open_path(real)
    try:
        os.close(safepath.make_directories(existing, missing, _mode(volume)))
    finally:
        os.close(existing)


def _mode(volume: Path) -> int:
    opened = safepath.open_path(os.path.realpath(volume))
    try:
        return stat.S_IMODE(os.fstat(opened).st_mode)
    finally:
        os.close(opened)


def bind(volume: Path, sub_path: str, root: Path, place: Sequence[str]) -> Path:
    """Shows the part of the volume at `place` below the kubelet's `root`: the source to give to a runtime.

    What is mounted is the file or directory that was opened, so that nothing put in its place later reaches the container.
    A mount of a former run of the container stays if it still shows the same.
    """
    real, missing = safepath.resolve_within(volume, safepath.components(sub_path))
    if missing:
        raise FileNotFoundError(f"{missing[0]!r} in subpath {sub_path!r} is not there")
    source = safepath.open_path(real)
    try:
        _show(source, root, place)
    finally:
        os.close(source)
    return root.joinpath(*place)


def _show(source: int, root: Path, place: Sequence[str]) -> None:
    path = root.joinpath(*place)
    status = os.fstat(source)
    if str(path) in mount.mounted_below(path):
        if os.path.samestat(os.lstat(path), status):
            return
        mount.unmount(str(path))
    with safepath.directory(root, place[:-1], PLACE_MODE) as parent:
        _make_place(parent, place[-1], stat.S_ISDIR(status.st_mode))
        target = os.open(place[-1], safepath.PATH, dir_fd=parent)
        try:
            mount.bind(safepath.through(source), Path(safepath.through(target)))
        finally:
            os.close(target)


def _make_place(parent: int, name: str, is_directory: bool) -> None:
    """What a mount hides must be a directory for a directory, and may be a file for all else."""
    try:
        present = os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    else:
        if stat.S_ISDIR(present.st_mode) == is_directory:
            return
        (os.rmdir if stat.S_ISDIR(present.st_mode) else os.unlink)(name, dir_fd=parent)
    if is_directory:
        os.mkdir(name, PLACE_MODE, dir_fd=parent)
    else:
        safepath.write_file(parent, name, b"", PLACE_FILE_MODE, exclusive=True)
