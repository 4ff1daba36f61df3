"""PEM files of several things: authorities, which follow their file and say whether they have signed a certificate, and keys
(upstream: dynamiccertificates.DynamicFileCAContent, client-go/util/keyutil)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .reloading import Reloaded

if TYPE_CHECKING:
    from cryptography import x509

REMEMBERED = 4096  # certificates of which it is known, until the file changes


class Authorities:
    """PEM certificates: who has signed what is shown to this server."""

    def __init__(self, pem: bytes) -> None:
        """ValueError for what holds none."""
        from cryptography import x509  # only servers with TLS need it

        self._trusted: Sequence[x509.Certificate] = x509.load_pem_x509_certificates(pem)
        self._known: dict[bytes, bool] = {}

    def issued(self, certificate: bytes) -> bool:
        """Whether one of them has signed a DER certificate. ValueError for what is none."""
        known = self._known.get(certificate)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[certificate] = self._issued(certificate)
        return known

    def _issued(self, certificate: bytes) -> bool:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        shown = x509.load_der_x509_certificate(certificate)
        for authority in self._trusted:
            try:
                shown.verify_directly_issued_by(authority)
                return True
            except (ValueError, TypeError, InvalidSignature):
                continue
        return False


class AuthorityFile:
    """`Authorities` that follow their file."""

    def __init__(self, path: Path) -> None:
        """OSError, or ValueError for a file that holds none."""
        self._reloaded = Reloaded(lambda: Authorities(path.read_bytes()), [path])

    def issued(self, certificate: bytes) -> bool:
        """As of `Authorities`, of the file as it is now or of the last one that fitted."""
        return self._reloaded.current().issued(certificate)


@functools.lru_cache(REMEMBERED)
def common_name(certificate: bytes) -> str:
    """The CN of a DER certificate, "" for one without. ValueError for what is none."""
    from cryptography import x509

    subject = x509.load_der_x509_certificate(certificate).subject
    names = subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def blocks(pem: bytes) -> Iterator[bytes]:
    """Each from its BEGIN line to its END line; what is around them is left out."""
    lines: list[bytes] = []
    for line in pem.splitlines(keepends=True):
        if line.startswith(b"-----BEGIN"):
            lines = []
        lines.append(line)
        if line.startswith(b"-----END"):
            yield b"".join(lines)
