"""Certificates of a test cluster: made in memory as a cluster's are, good for ten years."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from pybernetes.pki import certificates
from pybernetes.pki.certificates import Subject
from pybernetes.pki.files import Pair

# A test may send the clock years ahead, and a virtual one may begin up to half an hour after the real time.
LIFETIME = timedelta(days=3650)


def write(path: Path, data: bytes) -> None:
    """A new file that is its owner's alone. Not synced: it lives no longer than its process, and syncs take half of a start. OSError."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(data)


class Authority:
    """A certificate authority; `pem` is its certificate, `key` what it signs with, PEM too."""

    def __init__(self, name: str, now: datetime) -> None:
        self._signer, self._now = certificates.Authority.create(name, now, LIFETIME), now
        self.pem, self.key = self._signer.pem, self._signer.pair.key

    def serving(self, names: list[str], addresses: list[str]) -> Pair:
        """For a server with these DNS names and IP addresses."""
        subject = Subject(names[0], names=names, addresses=addresses, server=True, client=False)
        return self._signer.issue(subject, self._now, LIFETIME)

    def client(self, user: str, groups: list[str]) -> Pair:
        """For a user: CN and O."""
        return self._signer.issue(Subject(user, groups), self._now, LIFETIME)
