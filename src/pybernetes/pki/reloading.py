"""What is made of files, and made anew when they have changed (upstream: apiserver/pkg/server/dynamiccertificates)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")
_Stamp = tuple[tuple[int, int, int] | None, ...]


class Reloaded(Generic[T]):
    """Files are looked at (one stat each) by who asks for it.

    Files that do not fit, as between the writing of a certificate and of its key, leave what was made before in use: it is logged once,
    and tried again when they change again.
    """

    def __init__(self, build: Callable[[], T], files: Sequence[Path]) -> None:
        """What `build` raises for the first time (OSError, ValueError) is the caller's."""
        self._build, self._files = build, tuple(files)
        self._stamp = _stamp(self._files)
        self._current = build()

    def current(self) -> T:
        """Of the files as they are now, or of the last ones that fitted."""
        stamp = _stamp(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._build()
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                _log.warning("%s cannot be used, the ones before stay: %s", " and ".join(map(str, self._files)), error)
            else:
                _log.info("%s changed: new connections use them", " or ".join(map(str, self._files)))
        return self._current

    @property
    def latest(self) -> T:
        """The last one that was made, without a look at the files."""
        return self._current

    def rebuild(self) -> None:
        """For what is in no file. Raises what `build` does, and then all stays as it was."""
        self._current = self._build()


def _stamp(files: Sequence[Path]) -> _Stamp:
    """What tells a file that was replaced or written to from the one before; None where there is none."""

    def of(path: Path) -> tuple[int, int, int] | None:
        try:
            status = os.stat(path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    return tuple(of(path) for path in files)
