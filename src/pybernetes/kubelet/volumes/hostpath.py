"""hostPath's types (upstream: pkg/volume/hostpath/host_path.go)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from .. import safepath
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
MAKES = {"DirectoryOrCreate": "mkdir", "FileOrCreate": "open"}  # and what Go calls the failing call
FILE_MODE = 0o644


def check(path: str, kind: str) -> None:
    """Makes what is to be made; RuntimeFailure where the path is not of the kind.

    Links that the host has on the way are followed, such as /var/run. Nothing is made behind a link in a directory that
    others than root may write into, nor through one that appears meanwhile.
    """
    if not kind:
        return
    is_kind, words = CHECKS[kind]
    try:
        names = safepath.components(path.lstrip("/"))
        real, missing = safepath.resolve("/", names)
        if missing and kind in MAKES:
            _make(names, kind)
            real, missing = safepath.resolve("/", names)
    except OSError as error:
        if kind in MAKES:
            raise RuntimeFailure(f"{MAKES[kind]} {path}: {(error.strerror or str(error)).lower()}") from error
        missing = (path,)  # something on the way is no directory: it is not there
    if missing or not is_kind(_mode(real)):
        raise RuntimeFailure(f"hostPath type check failed: {path} is not {words}")


def _make(names: tuple[str, ...], kind: str) -> None:
    existing, missing = safepath.open_trusted(names)
    try:
        if not missing:
            return  # somebody has just made it
        if kind == "DirectoryOrCreate":
            os.close(safepath.make_directories(existing, missing))
        elif len(missing) > 1:
            raise FileNotFoundError(2, "No such file or directory")  # a file's directory is never made
        else:
            safepath.write_file(existing, missing[0], b"", FILE_MODE, exclusive=True)
    finally:
        os.close(existing)


def _mode(real: str) -> int:
    """0 where it has gone, or become a link, since it was looked up."""
    try:
        opened = safepath.open_path(real)
    except OSError:
        return 0
    try:
        return os.fstat(opened).st_mode
    finally:
        os.close(opened)
