"""Files that change all at once (upstream: pkg/volume/util/atomic_writer.go).

A directory ..TIME holds them, the link ..data points at it and is renamed over the former one; what the user sees are links
through ..data.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from .payload import File

DATA, NEW_DATA = "..data", "..data_tmp"
DIRECTORY_MODE = 0o755


def write(directory: Path, files: Mapping[str, File], stamp: str, group: int | None = None) -> bool:
    """Makes the directory hold just these files; False where it did already. `stamp` names this state: ..STAMP.

    With a group the files are its, and it may read them (fsGroup of a read-only volume).
    """
    former = _former(directory)
    if former is not None and _holds(former, files, group):
        return False
    fresh = directory / f"..{stamp}"
    fresh.mkdir(mode=DIRECTORY_MODE)
    os.chmod(fresh, DIRECTORY_MODE)
    for name, file in files.items():
        _write_file(fresh, name, file, group)
    link = directory / NEW_DATA
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    os.rename(link, directory / DATA)
    _link(directory, {name.split("/")[0] for name in files})
    if former is not None:
        shutil.rmtree(former)
    return True


def _former(directory: Path) -> Path | None:
    try:
        return directory / os.readlink(directory / DATA)
    except FileNotFoundError:
        return None


def file_mode(file: File, group: int | None) -> int:
    return file.mode | 0o440 if group is not None else file.mode


def _holds(directory: Path, files: Mapping[str, File], group: int | None) -> bool:
    present = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    if present != set(files):
        return False
    return all(
        (directory / name).read_bytes() == file.data
        and (directory / name).stat().st_mode & 0o7777 == file_mode(file, group)
        for name, file in files.items()
    )


def _write_file(root: Path, name: str, file: File, group: int | None) -> None:
    path = root / name
    if ".." in path.relative_to(root).parts:
        raise OSError(f"invalid path {name!r} in a volume")
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        for parent in path.parents:
            if parent == root:
                break
            os.chmod(parent, DIRECTORY_MODE)
    path.write_bytes(file.data)
    os.chown(path, -1 if file.uid is None else file.uid, -1 if group is None else group)
    os.chmod(path, file_mode(file, group))


def _link(directory: Path, names: set[str]) -> None:
    """The links that the user sees: one for each file or directory at the top."""
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for present in directory.iterdir():
        if present.is_symlink() and not present.name.startswith("..") and present.name not in names:
            present.unlink()
