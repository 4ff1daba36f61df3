"""PEM files of several things: authorities, which follow their file and say whether they have signed a certificate, and keys
(upstream: dynamiccertificates.DynamicFileCAContent, client-go/util/keyutil)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.aio.clock import RealClock

from .reloading import Reloaded

if TYPE_CHECKING:
    from cryptography import x509

LOOK_SECONDS = 1.0  # for which an authority that was taken out of its file is taken still
LONGEST_CHAIN = 10  # intermediates that are looked at, of as many as somebody may send
REMEMBERED = 4096  # certificates of which it is known, until the file changes


class Authorities:
    """PEM certificates: who has signed what is shown to this server."""

    def __init__(self, pem: bytes) -> None:
        """ValueError for what holds none."""
        from cryptography import x509  # only servers with TLS need it

        self._trusted: Sequence[x509.Certificate] = x509.load_pem_x509_certificates(pem)
        self._known: dict[bytes, bool] = {}

    def issued(self, certificate: bytes, intermediates: Sequence[bytes] = ()) -> bool:
        """Whether one of them has signed a DER certificate, or one of the intermediates (DER) that lead to it. ValueError for what is none."""
        # A digest where others came with it: what is remembered must not be as long as somebody makes it.
        key = hashlib.sha256(b"".join((certificate, *intermediates))).digest() if intermediates else certificate
        issued = self._known.get(key)
        if issued is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            issued = self._known[key] = self._issued(certificate, intermediates)
        return issued

    def _issued(self, certificate: bytes, intermediates: Sequence[bytes]) -> bool:
        from cryptography import x509

        shown = x509.load_der_x509_certificate(certificate)
        between = [x509.load_der_x509_certificate(one) for one in intermediates[:LONGEST_CHAIN]]
        while not any(_signed(shown, authority) for authority in self._trusted):
            issuer = next((one for one in between if _signed(shown, one)), None)
            if issuer is None:
                return False
            between.remove(issuer)
            shown = issuer
        return True


def _signed(shown: x509.Certificate, authority: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        shown.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class AuthorityFile:
    """`Authorities` that follow their file."""

    def __init__(self, path: Path, monotonic: Callable[[], float] | None = None) -> None:
        """OSError, or ValueError for a file that holds none."""
        self._reloaded = Reloaded(lambda: Authorities(path.read_bytes()), [path])
        self._monotonic, self._look_at = monotonic or RealClock().monotonic, 0.0

    def issued(self, certificate: bytes, intermediates: Sequence[bytes] = ()) -> bool:
        """As of `Authorities`, of the file as it is now or of the last one that fitted.

        It is asked with each request: what was good a moment ago (LOOK_SECONDS) is so without a look at the file, what is refused
        is so of today's file.
        """
        now = self._monotonic()
        if now < self._look_at and self._reloaded.latest.issued(certificate, intermediates):
            return True
        self._look_at = now + LOOK_SECONDS
        return self._reloaded.current().issued(certificate, intermediates)


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
