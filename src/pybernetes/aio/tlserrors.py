"""Failures of TLS in words that help."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

# OpenSSL's numbers for certificates that begin later, and that have ended.
_OUT_OF_TIME = (9, 10)


def explained(error: BaseException, now: datetime) -> str:
    """A failure in words; where the peer's certificate is not of this time also what time it is here, as Go's errors say it."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OUT_OF_TIME:
        return f"{error}: the clock here says {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return str(error)
