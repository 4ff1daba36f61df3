"""Times as text, and sums that stay within time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.times import shifted

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (90, NOW + timedelta(seconds=90)),
        (-0.5, NOW - timedelta(seconds=0.5)),
        (2**63 - 1, datetime.max.replace(tzinfo=UTC)),
        (-(2**63), datetime.min.replace(tzinfo=UTC)),
        (10**12, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_seconds_of_objects_may_be_any(seconds: float, expected: datetime) -> None:
    assert shifted(NOW, seconds) == expected
