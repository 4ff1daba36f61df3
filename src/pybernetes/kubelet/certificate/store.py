"""Certificate and key in one dated file, and a link to the present one (upstream: client-go/util/certificate/certificate_store.go)."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

from pybernetes.files import make_private_directory
from pybernetes.pki.certificates import Leaf
from pybernetes.pki.files import Pair, write

_log = logging.getLogger(__name__)


class StoreError(Exception):
    """Files that are not as they should be; says which."""


class FileStore:
    """NAME-2006-01-02-15-04-05.pem in a directory, and NAME-current.pem, which links to one of them.

    The link is replaced in one step: whoever reads through it has the certificate and the key of one pair.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """Directory and files may be missing."""
        self._directory, self._name = directory.absolute(), name
        self.current_path = self._directory / f"{name}-current.pem"
        self._updated = self._directory / f"{name}-updated.pem"

    def leaf(self) -> Leaf | None:
        """The present certificate; None where there is none that can be read, which is told in the log."""
        try:
            return Leaf.of(self.current_path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be used: %s", self.current_path, error)
            return None

    def update(self, pair: Pair, now: datetime) -> None:
        """Makes this the present one. StoreError, OSError; ValueError for what is no certificate: what was before stays."""
        Leaf.of(pair.certificate)
        for link in (self.current_path, self._updated):
            if link.exists() and not link.is_symlink():
                raise StoreError(f'expected "{link}" to be a symlink but it is a file')
        make_private_directory(self._directory)
        path = self._directory / f"{self._name}-{now:%Y-%m-%d-%H-%M-%S}.pem"
        write(path, pair.certificate.rstrip() + b"\n" + pair.key)
        self._updated.unlink(missing_ok=True)
        self._updated.symlink_to(path)
        os.replace(self._updated, self.current_path)
