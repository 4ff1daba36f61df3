from __future__ import annotations

import pytest

from pybernetes.api.quantity import ERR_FORMAT_WRONG, ERR_SUFFIX, Format, Quantity, QuantityError, parse_quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0Mi", "0"),
        ("0n", "0"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.1", "100m"),
        ("+1.5", "1500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1.G", "1G"),
        ("001", "1"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1024M", "1024M"),
        ("1000k", "1M"),
        ("1023Ki", "1023Ki"),
        ("1.5Gi", "1536Mi"),
        ("-1.5Gi", "-1536Mi"),
        ("0.5Mi", "512Ki"),
        ("0.5Ki", "512"),
        ("1Ki", "1Ki"),
        ("0.0001Ki", "102400u"),
        ("1.0001Ki", "1024102400u"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("12e4", "120e3"),
        ("1e-3", "1e-3"),
        ("1e0", "1"),
        ("100E", "100E"),
        ("1000E", "1000E"),
        ("8Ei", "9223372036854775807"),
        ("100Ei", "9223372036854775807"),
        ("9E", "9E"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("1.1n", "2n"),
        ("-0.1n", "-1n"),
        ("1e-999999999999", "1e-9"),
        ("1.000000001m", "1000001n"),
    ],
)
def test_canonical_form_is_stable(text: str, canonical: str) -> None:
    assert str(parse_quantity(text)) == canonical
    assert str(parse_quantity(canonical)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ERR_FORMAT_WRONG),
        (" 1", ERR_FORMAT_WRONG),
        ("1 ", ERR_FORMAT_WRONG),
        ("1\n", ERR_FORMAT_WRONG),
        ("1.1.M", ERR_FORMAT_WRONG),
        ("1+1.0M", ERR_FORMAT_WRONG),
        ("0.1am", ERR_FORMAT_WRONG),
        ("aoeu", ERR_FORMAT_WRONG),
        ("\u0661", ERR_FORMAT_WRONG),
        ("0.1mi", ERR_SUFFIX),
        (".5i", ERR_SUFFIX),
        ("1i", ERR_SUFFIX),
        ("1K", ERR_SUFFIX),
        ("1ki", ERR_SUFFIX),
        ("-3.01e-", ERR_SUFFIX),
        ("1e", ERR_SUFFIX),
        ("1e99999999", ERR_SUFFIX),
    ],
)
def test_rejects(text: str, message: str) -> None:
    with pytest.raises(QuantityError) as caught:
        Quantity.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "value", "milli"),
    [("0", 0, 0), ("1m", 1, 1), ("1u", 1, 1), ("1500m", 2, 1500), ("1Ki", 1024, 1024000), ("-1500m", -2, -1500)],
)
def test_values_round_up(text: str, value: int, milli: int) -> None:
    quantity = parse_quantity(text)
    assert (quantity.value(), quantity.milli_value()) == (value, milli)


@pytest.mark.parametrize(
    ("left", "right", "total", "difference"),
    [
        ("1", "500m", "1500m", "500m"),
        ("1Gi", "1Gi", "2Gi", "0"),
        ("0", "1Gi", "1Gi", "-1Gi"),
        ("1Gi", "1G", "2073741824", "73741824"),
        ("1G", "1Gi", "2073741824", "-73741824"),
        ("1e3", "1k", "2e3", "0"),
    ],
)
def test_arithmetic(left: str, right: str, total: str, difference: str) -> None:
    a, b = parse_quantity(left), parse_quantity(right)
    assert str(a + b) == total
    assert str(a - b) == difference


@pytest.mark.parametrize(("left", "right", "order"), [("1", "1000m", 0), ("1Ki", "1k", 1), ("-1", "0", -1)])
def test_compare(left: str, right: str, order: int) -> None:
    a, b = parse_quantity(left), parse_quantity(right)
    assert a.cmp(b) == order
    assert (a == b, a < b, a > b) == (order == 0, order < 0, order > 0)
    assert (a <= b, a >= b) == (order <= 0, order >= 0)
    assert order != 0 or hash(a) == hash(b)


def test_constructors() -> None:
    assert str(Quantity.from_int(2048, Format.BINARY_SI)) == "2Ki"
    assert str(Quantity.from_milli(250)) == "250m"
    assert str(-Quantity.from_int(3)) == "-3"
    assert Quantity().is_zero()
    assert Quantity.from_int(-3).sign() == -1
