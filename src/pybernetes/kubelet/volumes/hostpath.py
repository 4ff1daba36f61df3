"""hostPath's types (upstream: pkg/volume/hostpath/host_path.go)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from ..runtime.types import RuntimeFailure

CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def check(path: str, kind: str) -> None:
    """Makes what is to be made; RuntimeFailure where the path is not of the kind."""
    if not kind:
        return
    is_kind, words = CHECKS[kind]
    if not os.path.exists(path):
        if kind == "DirectoryOrCreate":
            Path(path).mkdir(parents=True, mode=0o755)
        elif kind == "FileOrCreate":
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except OSError as error:
                raise RuntimeFailure(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = 0
    if not is_kind(mode):
        raise RuntimeFailure(f"hostPath type check failed: {path} is not {words}")
