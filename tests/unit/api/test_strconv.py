"""Numbers are Go's: ASCII digits, a sign where one may be, so many bits.

The kind: text of a client that Python's int() and isdigit() take and Go does not, or that int() refuses for its length. Beyond those of resource
versions and ports: blanks, underscores, digits of other scripts, doubled signs, leading zeros.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api import strconv


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (strconv.parse_int, "-9223372036854775808", -(2**63)),
        (strconv.parse_int, "+7", 7),
        (strconv.parse_int, "0" * 5000 + "7", 7),
        (strconv.parse_uint, "18446744073709551615", 2**64 - 1),
        (strconv.parse_uint, "007", 7),
        (strconv.atoi, "-1", -1),
    ],
)
def test_numbers(read: Callable[[str], int], text: str, number: int) -> None:
    assert read(text) == number


@pytest.mark.parametrize("text", ["", "²", "٣", "1_0", " 1", "1\n", "--1", "+", "1.0", "0x1", "1e3", "\ud800"])
def test_what_is_none(text: str) -> None:
    for read, name in ((strconv.parse_int, "ParseInt"), (strconv.parse_uint, "ParseUint"), (strconv.atoi, "Atoi")):
        with pytest.raises(strconv.NumberError) as caught:
            read(text)
        assert str(caught.value).startswith(f"strconv.{name}: parsing ")
        assert str(caught.value).endswith(": invalid syntax")
    assert not strconv.is_digits(text)


def test_signs_are_not_for_all() -> None:
    with pytest.raises(strconv.NumberError, match=r'strconv.ParseUint: parsing "-1": invalid syntax'):
        strconv.parse_uint("-1")
    assert strconv.is_number("-1") and not strconv.is_number("--1") and not strconv.is_digits("-1")


@pytest.mark.parametrize(
    ("text", "bits"), [("9223372036854775808", 64), ("2147483648", 32), ("-2147483649", 32), ("9" * 100_000, 64)]
)
def test_what_is_too_large(text: str, bits: int) -> None:
    with pytest.raises(strconv.NumberError, match="value out of range"):
        strconv.parse_int(text, bits)


@given(st.integers(-(2**70), 2**70))
def test_numbers_of_64_bits(number: int) -> None:
    if -(2**63) <= number < 2**63:
        assert strconv.parse_int(str(number)) == number
    else:
        with pytest.raises(strconv.NumberError):
            strconv.parse_int(str(number))
