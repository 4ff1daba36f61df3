"""Files that change all at once (upstream: pkg/volume/util/atomic_writer.go).

A directory ..TIME holds them, the link ..data points at it and is renamed over the former one; what the user sees are links
through ..data.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from .. import safepath
from .payload import File

DATA, NEW_DATA = "..data", "..data_tmp"
DIRECTORY_MODE = 0o755
MAX_NAME, MAX_PATH = 255, 4096  # upstream's maxFileNameLength and maxPathLength


def write(directory: Path, files: Mapping[str, File], stamp: str, group: int | None = None) -> bool:
    """Makes the directory hold just these files; False where it did already. `stamp` names this state: ..STAMP.

    With a group the files are its, and it may read them (fsGroup of a read-only volume). OSError where a file's path is none.
    """
    placed = {_names(name): file for name, file in files.items()}
    with safepath.directory(directory) as top:
        former = _former(top)
        if former is not None and _holds(top, former, placed, group):
            return False
        fresh = f"..{stamp}"
        os.mkdir(fresh, DIRECTORY_MODE, dir_fd=top)
        opened = os.open(fresh, safepath.DIRECTORY, dir_fd=top)
        try:
            os.fchmod(opened, DIRECTORY_MODE)
            for names, file in placed.items():
                _write_file(opened, names, file, group)
        finally:
            os.close(opened)
        _swap(top, fresh)
        _link(top, {names[0] for names in placed})
        if former is not None:
            safepath.remove_tree(safepath.through(top), (former,))
    return True


def _names(path: str) -> tuple[str, ...]:
    """The components of a file's path, judged as upstream's validatePath does."""
    names = path.split("/")
    if not path or path.startswith("/") or ".." in names or names[0].startswith(".."):
        raise OSError(f"invalid path {path!r} in a volume")
    if len(path) > MAX_PATH or any(len(name) > MAX_NAME for name in names):
        raise OSError(f"invalid path {path!r} in a volume: too long")
    return safepath.components(path)


def _swap(top: int, fresh: str) -> None:
    if NEW_DATA in os.listdir(top):  # of a kubelet that was killed here
        os.unlink(NEW_DATA, dir_fd=top)
    os.symlink(fresh, NEW_DATA, dir_fd=top)
    os.rename(NEW_DATA, DATA, src_dir_fd=top, dst_dir_fd=top)


def _former(top: int) -> str | None:
    """The directory that ..data points at; it lies beside it."""
    try:
        name = os.readlink(DATA, dir_fd=top)
    except FileNotFoundError:
        return None
    if "/" in name or name == ".." or not name.startswith(".."):
        raise safepath.Escapes(f"{DATA} of a volume points at {name!r}")
    return name


def file_mode(file: File, group: int | None) -> int:
    """A file's permissions; its volume's group may always read it."""
    return file.mode | 0o440 if group is not None else file.mode


def _holds(top: int, former: str, placed: Mapping[tuple[str, ...], File], group: int | None) -> bool:
    """Whether the former state is just this one, and all of it is shown."""
    try:
        opened = os.open(former, safepath.DIRECTORY, dir_fd=top)
    except FileNotFoundError:
        return False
    try:
        count = sum(not stat.S_ISDIR(status.st_mode) for _, _, status in safepath.walk(opened))
        return (
            count == len(placed)
            and {names[0] for names in placed} <= set(os.listdir(top))
            and all(_is(opened, names, file, group) for names, file in placed.items())
        )
    finally:
        os.close(opened)


def _is(opened: int, names: tuple[str, ...], file: File, group: int | None) -> bool:
    try:
        present = safepath.open_below(safepath.through(opened), names)
    except FileNotFoundError:
        return False
    try:
        status = os.fstat(present)
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != file_mode(file, group):
            return False
        with open(safepath.through(present), "rb") as stream:  # what was opened, not what its name may be by now
            return stream.read(len(file.data) + 1) == file.data
    finally:
        os.close(present)


def _write_file(root: int, names: tuple[str, ...], file: File, group: int | None) -> None:
    parent = safepath.make_directories(root, names[:-1], DIRECTORY_MODE)
    try:
        owner, of_group = -1 if file.uid is None else file.uid, -1 if group is None else group
        mode = file_mode(file, group)
        safepath.write_file(parent, names[-1], file.data, mode, uid=owner, gid=of_group, exclusive=True)
    finally:
        os.close(parent)


def _link(top: int, names: set[str]) -> None:
    """The links that the user sees: one for each file or directory at the top."""
    present = set(os.listdir(top))
    for name in names - present:
        os.symlink(f"{DATA}/{name}", name, dir_fd=top)
    for name in present - names:
        if not name.startswith("..") and stat.S_ISLNK(os.lstat(name, dir_fd=top).st_mode):
            os.unlink(name, dir_fd=top)
