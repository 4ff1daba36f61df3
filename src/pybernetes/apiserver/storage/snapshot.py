"""A file that holds what a store holds: JSON lines, to be read and searched by eye and by other programs.

The first line is the header `{"format":"pybernetes-snapshot","version":1,"revision":R}`: the store's revision. Then a line for each object, in
the order of revisions, `{"key":"core/pods/NAMESPACE/NAME","revision":N,"value":{...}}`: the key below --etcd-prefix as GROUP/RESOURCE/..., and
the object in JSON in the version that is stored. The last line is `{"objects":COUNT}`; without it the file is not whole. It holds Secrets as
they are: mode 0600.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pybernetes import files
from pybernetes.store.types import StoreError

FORMAT, VERSION = "pybernetes-snapshot", 1


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """The first line."""

    format: str
    version: int
    revision: int


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """One object; `key` without the prefix, `value` its JSON."""

    key: str
    revision: int
    value: msgspec.Raw


class End(msgspec.Struct, forbid_unknown_fields=True):
    """The last line."""

    objects: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a store: items in the order of their revisions, none newer than `revision`."""

    revision: int
    items: list[Item]


def write(path: Path, snapshot: Snapshot) -> None:
    """The file is there when it is whole and on the disk, and not before. StoreError where it is there already, or cannot be written."""
    partial = path.with_name(path.name + ".partial")
    try:
        with os.fdopen(files.open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            for line in _lines(snapshot):
                file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # and not over another one
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _lines(snapshot: Snapshot) -> Iterable[Header | Item | End]:
    yield Header(FORMAT, VERSION, snapshot.revision)
    yield from snapshot.items
    yield End(len(snapshot.items))


def read(path: Path) -> Snapshot:
    """StoreError where it is no snapshot, not whole, or of a newer version: with the line."""
    items: list[Item] = []
    number = 1
    try:
        with path.open("rb") as file:
            header = msgspec.json.decode(next(file, b""), type=Header)
            if (header.format, header.version) != (FORMAT, VERSION):
                raise StoreError(
                    f"{path}: want {FORMAT} version {VERSION}, is {header.format} version {header.version}"
                )
            line = b""
            for number, following in enumerate(file, 2):  # noqa: B007 - told with an error
                if line:
                    items.append(msgspec.json.decode(line, type=Item))
                line = following
            if not line.startswith(b'{"objects"'):
                raise StoreError(f"{path} is not whole: its last line does not say how many objects there are")
            end = msgspec.json.decode(line, type=End)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}, about line {number}: {error}") from error
    if end.objects != len(items):
        raise StoreError(f"{path} is not whole: {len(items)} of {end.objects} objects are there")
    if any(item.revision > header.revision for item in items):
        raise StoreError(f"{path}: an object is newer than the snapshot's revision {header.revision}")
    return Snapshot(header.revision, items)
