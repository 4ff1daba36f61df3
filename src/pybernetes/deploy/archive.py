"""A backup as one file: what a host was configured with, and all objects of the cluster.

A gzipped tar. First `manifest.json` (`Manifest`), then `store` (etcd's snapshot, or SQLite's file), then `files/PATH` for each file. Every
byte has its SHA-256 in the manifest, so that a damaged archive is found before anything is written. It holds keys and Secrets as
they are: mode 0600, and not encrypted: that is the business of tools that are made for it (`backup - | age -r ... > FILE`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import msgspec

FORMAT, VERSION = "pybernetes-backup", 1
MANIFEST, STORE, FILES = "manifest.json", "store", "files"
LARGEST_FILE = 16 << 20  # certificates and configuration are small: what is larger was not meant
LARGEST_MANIFEST = 64 << 20
READ_BYTES = 1 << 20
COMPRESSION = 3  # etcd's file is half empty pages: higher ones cost much and gain little


class ArchiveError(Exception):
    """An archive that cannot be made or read; says which part."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A directory, a file or a symbolic link, by its absolute path."""

    path: str
    kind: Literal["directory", "file", "link"]
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""  # of a link


class StoreEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`path`: where SQLite's file was; etcd's snapshot belongs to no host."""

    kind: Literal["etcd", "sqlite"]
    size: int
    sha256: str
    path: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is in an archive. `created` is RFC 3339, `kubernetes` the release that made it."""

    format: str
    version: int
    created: str
    host: str
    kubernetes: str
    store: StoreEntry | None = None
    files: list[Entry] = []


Content = dict[str, bytes]  # of files, by path


def collect(roots: Iterable[Path]) -> tuple[list[Entry], Content]:
    """All below the roots that are there, sorted, directories before what is in them. ArchiveError, OSError."""
    entries: dict[str, Entry] = {}
    contents: Content = {}
    for root in roots:
        for path in _walk(root):
            if (entry := _entry(path, contents)) is not None:
                entries[entry.path] = entry
    return [entries[path] for path in sorted(entries)], contents


def _walk(root: Path) -> Iterator[Path]:
    if not os.path.lexists(root):
        return
    yield root
    if root.is_dir() and not root.is_symlink():
        for folder, folders, files in os.walk(root):
            yield from (Path(folder, name) for name in sorted((*folders, *files)))


def _entry(path: Path, contents: Content) -> Entry | None:
    status = path.lstat()
    where, mode, uid, gid = str(path), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    if stat.S_ISLNK(status.st_mode):
        return Entry(path=where, kind="link", uid=uid, gid=gid, target=os.readlink(path))
    if stat.S_ISDIR(status.st_mode):
        return Entry(path=where, kind="directory", mode=mode, uid=uid, gid=gid)
    if not stat.S_ISREG(status.st_mode):
        return None  # sockets and the like are made by who listens
    if status.st_size > LARGEST_FILE:
        raise ArchiveError(f"{path} has {status.st_size} bytes: that is no configuration; leave it out or move it")
    data = contents[where] = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Entry(path=where, kind="file", mode=mode, uid=uid, gid=gid, size=len(data), sha256=digest)


def described_store(kind: Literal["etcd", "sqlite"], file: Path, path: str = "") -> StoreEntry:
    """Of a file that was taken. OSError."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as source:
        while piece := source.read(READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return StoreEntry(kind=kind, size=size, sha256=digest.hexdigest(), path=path)


def write(out: IO[bytes], manifest: Manifest, contents: Content, store: Path | None) -> None:
    """The archive. OSError."""
    with (
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=COMPRESSION) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        _add(tar, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        if manifest.store is not None and store is not None:
            with store.open("rb") as source:
                tar.addfile(_info(STORE, manifest.store.size), source)
        for entry in manifest.files:
            if entry.kind == "file":
                _add(tar, f"{FILES}{entry.path}", contents[entry.path])


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_info(name, len(data)), io.BytesIO(data))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


@contextmanager
def opened(path: Path) -> Iterator[tuple[Manifest, Iterator[tuple[str, IO[bytes], int, str]]]]:
    """The manifest, and behind it (name, bytes, size, SHA-256 as the manifest says), one after the other. ArchiveError."""
    try:
        with tarfile.open(path, mode="r|gz") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST or first.size > LARGEST_MANIFEST:
                raise ArchiveError(f"{path} is no backup of pybernetes: it does not begin with {MANIFEST}")
            manifest = _manifest(path, _read(tar, first).read())
            yield manifest, _members(path, tar, manifest)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ArchiveError(f"{path}: {error.strerror}") from error
        raise ArchiveError(f"{path} is no backup of pybernetes, or damaged: {error}") from error


def _manifest(path: Path, data: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path}: {MANIFEST}: {error}") from error
    if (manifest.format, manifest.version) != (FORMAT, VERSION):
        raise ArchiveError(f"{path}: want {FORMAT} version {VERSION}, is {manifest.format} version {manifest.version}")
    for entry in manifest.files:
        if not entry.path.startswith("/") or ".." in PurePosixPath(entry.path).parts:
            raise ArchiveError(f"{path}: {entry.path!r} is no absolute path")
    return manifest


def _members(path: Path, tar: tarfile.TarFile, manifest: Manifest) -> Iterator[tuple[str, IO[bytes], int, str]]:
    said = {f"{FILES}{entry.path}": (entry.size, entry.sha256) for entry in manifest.files if entry.kind == "file"}
    if manifest.store is not None:
        said[STORE] = manifest.store.size, manifest.store.sha256
    while (member := tar.next()) is not None:
        size, digest = said.pop(member.name, (-1, ""))
        if size != member.size or not member.isfile():
            raise ArchiveError(f"{path}: {member.name} is not what the manifest says")
        yield member.name, _read(tar, member), size, digest
    if said:
        raise ArchiveError(f"{path} is not whole: {next(iter(said))} is missing")


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member)
    if source is None:
        raise tarfile.TarError(f"{member.name} is no file")
    return source


def verify(path: Path) -> Manifest:
    """Reads all of it. ArchiveError where a byte is another one."""
    with opened(path) as (manifest, members):
        for name, source, _, expected in members:
            digest = hashlib.sha256()
            while piece := source.read(READ_BYTES):
                digest.update(piece)
            if digest.hexdigest() != expected:
                raise ArchiveError(f"{path}: {name} is damaged: its SHA-256 is another one")
        return manifest


def in_the_way(entries: Sequence[Entry], present: Sequence[Entry]) -> list[str]:
    """Paths of files and links that are there with another content; pure. Directories, and what is the same, are in nobody's way."""
    there = {entry.path: entry for entry in present}
    obstacles = []
    for entry in entries:
        now = there.get(entry.path)
        if now is None or (entry.kind == now.kind == "directory"):
            continue
        if (entry.kind, entry.sha256, entry.target) != (now.kind, now.sha256, now.target):
            obstacles.append(entry.path)
    return obstacles
