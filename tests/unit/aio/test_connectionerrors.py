"""What is said of a certificate that is not of this time."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pybernetes.aio.connectionerrors import explained


@pytest.mark.parametrize(("code", "told"), [(9, True), (10, True), (20, False)])
def test_the_clock_is_named_where_it_may_be_wrong(code: int, told: bool) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.reason = code, "CERTIFICATE_VERIFY_FAILED"
    now = datetime(2026, 11, 30, 13, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    assert (": the clock here says 2026-11-30T12:00:00Z" in explained(error, now)) is told
    assert "certificate verify failed" in explained(error, now)


def _not_tls() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("no route"), "no route"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 1)"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('192.0.2.1', 1)"), "no route to host"),
        (FileNotFoundError(errno.ENOENT, "x", "/run/x.sock"), "no such file or directory"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name or service not known"),
        (_not_tls(), "what listens there does not speak TLS (WRONG_VERSION_NUMBER)"),
    ],
)
def test_other_failures_are_told_without_pythons_numbers(error: OSError, text: str) -> None:
    assert explained(error, datetime.now(UTC)) == text
