"""Backups of a host and its cluster, and their return (`archive.py` is the form of the file)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

import msgspec

from pybernetes import files
from pybernetes.api.times import format_time
from pybernetes.api.version import KUBERNETES
from pybernetes.store.backends import Location

from . import archive
from .archive import ArchiveError, Entry, Manifest, StoreEntry
from .configuration import KUBERNETES_DIR
from .etcd import snapshots

# What hosts are configured with, where it is there; units only by their names, since others' lie beside them.
CONFIGURATION = (
    KUBERNETES_DIR,
    "/etc/pybernetes",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/var/lib/kubelet/pki",
    "/var/lib/kube-proxy",
    "/etc/kube-flannel",
    *(
        f"/etc/systemd/system/{unit}.service"
        for unit in (
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "flanneld",
            "kube-network-policies",
            "pybernetes",
        )
    ),
)
STDOUT = "-"


async def make(
    out: Path | None, roots: Iterable[Path], where: Location | Path | None, host: str, now: datetime
) -> Manifest:
    """`where`: etcd's members, or SQLite's file, which may be in use; None: no store. `out` None: standard output.

    The file is there when it is whole, mode 0600. ArchiveError, SnapshotError, RPCError, LocationError, OSError; nothing is left then.
    """
    if out is not None and out.exists():
        raise ArchiveError(f"{out} is there already: choose another name")
    if out is not None and not out.absolute().parent.is_dir():
        raise ArchiveError(f"{out.absolute().parent} is no directory: make it first")
    folder = out.absolute().parent if out is not None else None  # the snapshot is as large as the archive, at the least
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as scratch:
        store: StoreEntry | None = None
        taken = Path(scratch, "store")
        if isinstance(where, Path):
            copy_sqlite(where, taken)
            store = archive.described_store("sqlite", taken, str(where.absolute()))
        elif where is not None:
            await snapshots.save(where, taken)
            store = archive.described_store("etcd", taken)
        entries, contents = archive.collect(roots)
        manifest = Manifest(
            format=archive.FORMAT,
            version=archive.VERSION,
            created=format_time(now),
            host=host,
            kubernetes=KUBERNETES,
            store=store,
            files=entries,
        )
        if out is None:
            archive.write(sys.stdout.buffer, manifest, contents, taken)
            sys.stdout.buffer.flush()
            return manifest
        partial = Path(scratch, "archive")
        with os.fdopen(files.open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            archive.write(file, manifest, contents, taken)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, out)
        snapshots.sync_directory(out.absolute().parent)
    return manifest


def copy_sqlite(source: Path, target: Path) -> None:
    """All that is acknowledged, also while a server writes (SQLite's online backup). ArchiveError."""
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as db,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            os.chmod(target, files.PRIVATE_FILE)
            db.backup(copy)
            problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.Error as error:
        raise ArchiveError(f"{source}: {error}") from error
    if problem != "ok":
        raise ArchiveError(f"{source} is damaged ({problem}): restore an older backup")


def restore_files(path: Path, root: Path, overwrite: bool) -> list[str]:
    """Writes the files below `root`, each in one step; the paths. Nothing is written where others are in the way. ArchiveError, OSError."""
    manifest = archive.verify(path)
    placed = [_below(root, entry) for entry in manifest.files]
    present, _ = archive.collect(Path(entry.path) for entry in placed if entry.kind != "directory")
    blocked = archive.in_the_way(placed, present)
    if blocked and not overwrite:
        more = f" and {len(blocked) - 5} more" if len(blocked) > 5 else ""
        raise ArchiveError(
            f"{', '.join(blocked[:5])}{more}: there already with another content; move them away, or --overwrite"
        )
    for entry in placed:
        if entry.kind == "directory":
            _directory(entry)
    by_name = {f"{archive.FILES}{old.path}": new for old, new in zip(manifest.files, placed, strict=True)}
    with archive.opened(path) as (_, members):
        for name, source, _, _ in members:
            if name in by_name:
                _file(by_name[name], source)
    for entry in placed:
        if entry.kind == "link":
            _link(entry)
    return [entry.path for entry in placed if entry.kind != "directory"]


@contextmanager
def store_of(path: Path, scratch: Path) -> Iterator[tuple[StoreEntry, Path]]:
    """The store's file taken out of an archive, gone at the end; `scratch` has room for it. ArchiveError, OSError."""
    manifest = archive.verify(path)
    if manifest.store is None:
        raise ArchiveError(f"{path} holds no store: it was made with --store=false")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=scratch) as folder:
        taken = Path(folder, "store")
        with archive.opened(path) as (_, members):
            for name, source, _, _ in members:
                if name == archive.STORE:
                    with os.fdopen(files.open_private(taken, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                        shutil.copyfileobj(source, file, archive.READ_BYTES)
                        file.flush()
                        os.fsync(file.fileno())
        yield manifest.store, taken


def restore_sqlite(taken: Path, target: Path) -> None:
    """Puts a database where none is. ArchiveError, OSError."""
    there = [
        path
        for path in (target, *(target.with_name(f"{target.name}{end}") for end in ("-wal", "-shm")))
        if path.exists()
    ]
    if there:
        raise ArchiveError(f"{there[0]} is there: stop its server and move it out of the way first")
    files.make_private_directory(target.parent)
    os.link(taken, target)
    snapshots.sync_directory(target.parent)


def _below(root: Path, entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, path=str(root / entry.path.lstrip("/")))


def _directory(entry: Entry) -> None:
    path = Path(entry.path)
    if path.is_dir():
        return  # of a host that has it already: as it is there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=files.PRIVATE_DIRECTORY)
    _own(path, entry)
    path.chmod(entry.mode)


def _file(entry: Entry, source: IO[bytes]) -> None:
    path = Path(entry.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(files.open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as out:
        shutil.copyfileobj(source, out, archive.READ_BYTES)
        out.flush()
        os.fsync(out.fileno())
    _own(fresh, entry)
    fresh.chmod(entry.mode)
    fresh.replace(path)


def _link(entry: Entry) -> None:
    path = Path(entry.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(entry.target)
    fresh.replace(path)


def _own(path: Path, entry: Entry) -> None:
    """Other users' files stay others', where root restores them."""
    if os.geteuid() == 0:
        os.chown(path, entry.uid, entry.gid)


def roots(kubernetes: Sequence[str] = CONFIGURATION, more: Sequence[str] = ()) -> list[Path]:
    """What a host of kubeadm's kind is configured with."""
    return [Path(path) for path in (*kubernetes, *more)]
