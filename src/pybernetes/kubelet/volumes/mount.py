"""mount(2) and umount(2), and what is mounted (upstream: k8s.io/mount-utils)."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

MS_BIND, MS_REC = 4096, 16384
MNT_DETACH = 2


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def tmpfs(path: Path, size_bytes: int = 0) -> None:
    """Mounts an empty memory file system; 0 leaves the kernel's limit."""
    options = f"size={size_bytes}" if size_bytes else ""
    result = _libc().mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, options.encode() or None)
    _check(result, f"mount of tmpfs on {path}")


def bind(source: str, path: Path) -> None:
    """Shows a file or directory in a second place."""
    result = _libc().mount(os.fsencode(source), os.fsencode(path), None, MS_BIND | MS_REC, None)
    _check(result, f"bind mount of {source} on {path}")


def unmount(path: str) -> None:
    """At once; who still uses it keeps it until then."""
    _check(_libc().umount2(os.fsencode(path), MNT_DETACH), f"unmount of {path}")


def unescaped(text: str) -> str:
    r"""A path as /proc/self/mountinfo writes it, with \040 for a space."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape") if "\\" in text else text


def mounted_below(root: Path) -> list[str]:
    """The mount points at and under a directory, the innermost first."""
    prefix = str(root)
    mounts = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        path = unescaped(line.split(" ")[4])
        if path == prefix or path.startswith(prefix + "/"):
            mounts.append(path)
    return mounts[::-1]


def unmount_below(root: Path) -> None:
    """Everything that is mounted at and under a directory; what goes away meanwhile is no error."""
    for path in mounted_below(root):
        try:
            unmount(path)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):  # no mount point any more, or not even there
                raise
