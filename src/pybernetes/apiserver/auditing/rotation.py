"""A file of lines that is set aside when it is large: by upstream's names of the files (gopkg.in/natefinch/lumberjack)."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pybernetes.files import make_private_directory

STAMP = "%Y-%m-%dT%H-%M-%S.%f"  # of the time at which a file was set aside; with milliseconds
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Rotation:
    """0 says nothing, for each of them."""

    max_bytes: int = 100 * MEGABYTE
    max_age_days: int = 366
    max_backups: int = 100
    compress: bool = False


class RotatingFile:
    """Between its making and `close`. Not for several threads, but `tidy` may run beside the rest."""

    def __init__(self, path: str, rotation: Rotation, now: Callable[[], datetime]) -> None:
        """Makes the file, and its folder, where missing: both are their owner's alone. OSError."""
        self._path, self._rotation, self._now = Path(path), rotation, now
        self.untidy = False  # `tidy` has something to do
        make_private_directory(self._path.parent)
        self._file = self._open()

    def write(self, lines: Iterable[bytes]) -> None:
        """Whole lines. OSError: the line that failed is not there, nor what comes after it."""
        for line in lines:
            self._write(line)

    def _write(self, line: bytes) -> None:
        largest = self._rotation.max_bytes
        if largest and len(line) > largest:
            raise OSError(errno.EFBIG, f"write length {len(line)} exceeds maximum file size {largest}")
        size = os.fstat(self._file).st_size
        if largest and size + len(line) > largest:
            self._set_aside()
            size = 0
        write_all(self._file, line, size)

    def _set_aside(self) -> None:
        aside = self._path.with_name(
            f"{self._prefix}{self._now().astimezone(UTC).strftime(STAMP)[:-3]}{self._path.suffix}"
        )
        with contextlib.suppress(FileNotFoundError):  # somebody else has moved it
            self._path.rename(aside)
        before, self._file = self._file, self._open()
        os.close(before)
        self.untidy = True

    def _open(self) -> int:
        return os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def tidy(self) -> None:
        """Removes what is too old or too many of the files that were set aside, and compresses the others. OSError."""
        rotation, backups = self._rotation, self._aside()
        kept = backups[: rotation.max_backups] if rotation.max_backups else backups
        if rotation.max_age_days:
            oldest = self._now() - timedelta(days=rotation.max_age_days)
            kept = [one for one in kept if one[0] >= oldest]
        for _, path in backups:
            if not any(path == other for _, other in kept):
                path.unlink(missing_ok=True)
            elif rotation.compress and path.suffix != ".gz":
                _compress(path)

    def _aside(self) -> list[tuple[datetime, Path]]:
        """With the times of their names, the newest first."""
        backups = []
        for path in self._path.parent.iterdir():
            name = path.name.removesuffix(".gz")
            if name.startswith(self._prefix) and name.endswith(self._path.suffix):
                stamp = name[len(self._prefix) : len(name) - len(self._path.suffix)]
                with contextlib.suppress(ValueError):
                    backups.append((datetime.strptime(stamp, STAMP).replace(tzinfo=UTC), path))
        return sorted(backups, reverse=True)

    @property
    def _prefix(self) -> str:
        return f"{self._path.stem}-"

    @property
    def rotates(self) -> bool:
        """Whether files are ever set aside."""
        return bool(self._rotation.max_bytes)

    def close(self) -> None:
        """Nothing is written any more."""
        os.close(self._file)


def write_all(file: int, data: bytes, size: int | None = None) -> None:
    """All of it. OSError; where the file's `size` is given, no part of it is left then."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        if size is not None and len(view) < len(data):
            os.ftruncate(file, size)
        raise


def _compress(path: Path) -> None:
    """After a kill at any moment the file is there, or what was made of it."""
    packed = path.with_name(f"{path.name}.gz")
    with (
        open(path, "rb") as source,
        open(os.open(packed, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as target,
    ):
        with gzip.GzipFile(filename="", mode="wb", fileobj=target) as out:
            shutil.copyfileobj(source, out)
        os.fsync(target.fileno())
    path.unlink()
