"""Certificates and keys on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pybernetes.files import make_private_directory


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (or a chain, the leaf first) and its key, PEM."""

    certificate: bytes
    key: bytes


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces a file in one step, synced: after a kill at any moment the old one or the new one is there, whole. OSError.

    The mode is the file's from its first byte on, so that a key is never readable by others.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(file, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def write_pair(certificate: Path, key: Path, pair: Pair) -> None:
    """Both files, and their folders where missing; the key is its owner's alone."""
    for path, data, mode in ((key, pair.key, 0o600), (certificate, pair.certificate, 0o644)):
        make_private_directory(path.parent)
        write(path, data, mode)
