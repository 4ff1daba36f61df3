"""What is said of a certificate that is not of this time."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pybernetes.aio.tlserrors import explained


@pytest.mark.parametrize(("code", "told"), [(9, True), (10, True), (20, False)])
def test_the_clock_is_named_where_it_may_be_wrong(code: int, told: bool) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    now = datetime(2026, 11, 30, 13, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    assert (": the clock here says 2026-11-30T12:00:00Z" in explained(error, now)) is told
    assert "certificate verify failed" in explained(error, now)


def test_other_failures_are_told_as_they_are() -> None:
    assert explained(OSError("no route"), datetime.now(UTC)) == "no route"
