"""Against values of Go's time package (time_test.go)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("5s", 5),
        ("+5s", 5),
        ("-1478s", -1478),
        ("5.0s", 5),
        (".5s", 0.5),
        ("5.s", 5),
        ("1.5m", 90),
        ("3h30m", 12600),
        ("1m30s", 90),
        ("10ms", 0.01),
        ("12µs", 12e-6),
        ("12μs", 12e-6),
        ("4h1m2s3ms4us5ns", 14462.003004005),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize(
    "text", ["", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "1s ", " 1s", "--1s", "+-1s", "9223372037s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert str(caught.value) == f'time: invalid duration "{text}"'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1e-9, "1ns"),
        (1.1e-6, "1.1µs"),
        (2.2e-3, "2.2ms"),
        (3.3, "3.3s"),
        (10, "10s"),
        (80, "1m20s"),
        (245.000006, "4m5.000006s"),
        (18367.001, "5h6m7.001s"),
        (7200, "2h0m0s"),
        (-0.5, "-500ms"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_what_is_written_is_read(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds / 1e9)) == pytest.approx(nanoseconds / 1e9, abs=2e-9)
