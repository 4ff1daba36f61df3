"""Times as text, and sums that stay within time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api import times
from pybernetes.api.times import TimeError, format_micro_time, format_time, parse_rfc3339, shifted, since_epoch

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


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(1, 1, 1, 0, 0, 2, tzinfo=UTC), "0001-01-01T00:00:02"),
        (datetime(999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "0999-12-31T23:59:59"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-01-01T21:34:05"),
    ],
)
def test_years_have_four_digits_and_fractions_are_cut_off(moment: datetime, text: str) -> None:
    assert format_time(moment) == f"{text}Z"
    assert format_micro_time(moment) == f"{text}.{moment.microsecond:06}Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", NOW),
        ("2026-01-02T03:04:05.999999999Z", NOW.replace(microsecond=999999)),
        ("2026-01-02T03:04:05,5Z", NOW.replace(microsecond=500000)),
        ("2026-01-02T3:04:05Z", NOW),  # as Go does
        ("2026-01-02T05:04:05+02:00", NOW),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_parse(text: str, moment: datetime) -> None:
    assert parse_rfc3339(text) == moment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soon", ' as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"'),
        ("2026/01/02", ' as "2006-01-02T15:04:05Z07:00": cannot parse "/01/02" as "-"'),
        ("2026-01-02", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
        ("2026-01-02T03:04:05", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"'),
        ("2026-01-02T03:04:05Z!", ': extra text: "!"'),
        ("2026-13-02T03:04:05Z", ": month out of range"),
        ("2026-02-29T03:04:05Z", ": day out of range"),
        ("2026-01-02T24:00:00Z", ": hour out of range"),
        ("2026-06-30T23:59:60Z", ": second out of range"),
        ("2026-01-02T03:04:05+25:00", ": time zone offset hour out of range"),
        ("0001-01-01T00:00:00+01:00", ": year out of range"),
        ("9999-12-31T23:59:59-01:00", ": year out of range"),
    ],
)
def test_no_time(text: str, words: str) -> None:
    with pytest.raises(TimeError) as refused:
        parse_rfc3339(text)
    assert str(refused.value) == f'parsing time "{text}"{words}'


def test_micro_times_have_six_digits() -> None:
    assert parse_rfc3339("2026-01-02T03:04:05.000000Z", micro=True) == NOW
    for text, rest in (("2026-01-02T03:04:05Z", "Z"), ("2026-01-02T03:04:05.1Z", ".1Z")):
        with pytest.raises(TimeError, match=rf'cannot parse "{rest}" as ".000000"'):
            parse_rfc3339(text, micro=True)


def test_unix_time() -> None:
    assert since_epoch(0) == datetime(1970, 1, 1, tzinfo=UTC)
    for seconds in (2**63 - 1, -(2**63), 253402300800):
        with pytest.raises(TimeError):
            since_epoch(seconds)


NEAR_USUAL = st.from_regex(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-6][0-9])",
    fullmatch=True,
)


@given(text=NEAR_USUAL, micro=st.booleans())
def test_the_short_way_reads_what_the_long_one_does(text: str, micro: bool) -> None:
    def read() -> datetime | str:
        try:
            return parse_rfc3339(text, micro)
        except TimeError as error:
            return str(error)

    short = read()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_USUAL", "_USUAL_MICRO"):
            patch.setattr(times, name, re.compile("never^"))
        assert read() == short
