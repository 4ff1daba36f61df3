"""Who is at the other end of a TLS connection: the certificate that was shown, and what was sent to lead to an authority."""

from __future__ import annotations

import ssl
from typing import Any

DER = 2  # X509_FILETYPE_ASN1, which _ssl calls ENCODING_DER


def intermediates(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates (DER) that came behind the peer's own."""
    chain = getattr(tls, "get_unverified_chain", None)  # Python 3.13
    if chain is not None:
        return tuple(chain()[1:])
    # Python has had it since 3.10 and shown it to nobody.
    inner: Any = tls._sslobj  # type: ignore[attr-defined]
    return tuple(certificate.public_bytes(DER) for certificate in (inner.get_unverified_chain() or ())[1:])
