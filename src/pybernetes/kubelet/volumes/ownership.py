"""fsGroup: who owns a volume's files (upstream: pkg/volume/volume_linux.go)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .. import safepath

READ_WRITE, EXECUTE = 0o660, 0o110


def wanted_mode(mode: int, directory: bool, mask: int = READ_WRITE) -> int:
    """The permissions with the group's added; a directory hands its group down."""
    return mode | mask | (stat.S_ISGID | EXECUTE if directory else 0)


def set_group(root: Path, group: int, only_on_mismatch: bool = False) -> None:
    """Gives a directory and all in it to a group; with `only_on_mismatch` not where its top is the group's already."""
    with safepath.directory(root) as top:
        status = os.fstat(top)
        mode = wanted_mode(stat.S_IMODE(status.st_mode), True)
        if only_on_mismatch and status.st_gid == group and stat.S_IMODE(status.st_mode) == mode:
            return
        for folder, name, info in safepath.walk(top):
            safepath.change(folder, name, gid=group, mode=_mode_of(info))
        os.fchown(top, -1, group)
        os.fchmod(top, mode)


def set_group_of_top(root: Path, group: int) -> None:
    """Gives a directory to a group, where it is not yet; not what is in it."""
    with safepath.directory(root) as top:
        status = os.fstat(top)
        if status.st_gid != group:
            os.fchown(top, -1, group)
            os.fchmod(top, wanted_mode(stat.S_IMODE(status.st_mode), True))


def _mode_of(status: os.stat_result) -> int | None:
    if stat.S_ISLNK(status.st_mode):
        return None
    return wanted_mode(stat.S_IMODE(status.st_mode), stat.S_ISDIR(status.st_mode))
