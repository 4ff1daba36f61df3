"""fsGroup: who owns a volume's files (upstream: pkg/volume/volume_linux.go)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

READ_WRITE, EXECUTE = 0o660, 0o110


def wanted_mode(mode: int, directory: bool, mask: int = READ_WRITE) -> int:
    """The permissions with the group's added; a directory hands its group down."""
    return mode | mask | (stat.S_ISGID | EXECUTE if directory else 0)


def set_group(root: Path, group: int, only_on_mismatch: bool = False) -> None:
    """Gives a directory and all in it to a group; with `only_on_mismatch` not where its top is the group's already."""
    top = root.stat()
    if only_on_mismatch and top.st_gid == group and top.st_mode & 0o7777 == wanted_mode(top.st_mode & 0o7777, True):
        return
    for path, names, files in os.walk(root):
        _give(path, group)
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(path, name)))]:
            _give(os.path.join(path, name), group)


def _give(path: str, group: int) -> None:
    os.lchown(path, -1, group)
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode):
        os.chmod(path, wanted_mode(stat.S_IMODE(mode), stat.S_ISDIR(mode)))
