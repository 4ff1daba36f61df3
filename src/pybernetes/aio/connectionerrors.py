"""Failures of connections and of TLS in words that help."""

from __future__ import annotations

import os
import socket
import ssl
from datetime import UTC, datetime

# OpenSSL's numbers for certificates that begin later, and that have ended.
_OUT_OF_TIME = (9, 10)
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")


def explained(error: BaseException, now: datetime) -> str:
    """A failure in words; where the peer's certificate is not of this time also what time it is here, as Go's errors say it."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OUT_OF_TIME:
        return f"{error}: the clock here says {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(error, ssl.SSLError):
        return f"what listens there does not speak TLS ({error.reason})" if error.reason in _NO_TLS else str(error)
    if isinstance(error, socket.gaierror):
        return str(error.strerror or error).lower()
    # Python's own text repeats the address, and differs from one event loop to another.
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
