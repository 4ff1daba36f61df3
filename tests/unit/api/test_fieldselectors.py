"""Field selectors."""

from __future__ import annotations

import pytest

from pybernetes.api.fieldselectors import escape_field_value, parse_field_selector, unescape_field_value
from pybernetes.api.labels import SelectorError


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("", {}, True),
        ("metadata.name=a", {"metadata.name": "a"}, True),
        ("metadata.name==a", {"metadata.name": "b"}, False),
        ("a!=b,c=d", {"a": "x", "c": "d"}, True),
        ("a=", {}, True),
        ("a!=", {}, False),
        (r"a=x\,y", {"a": "x,y"}, True),
        (r"a=x\=y\\", {"a": "x=y\\"}, True),
        (",a=b,", {"a": "b"}, True),
    ],
)
def test_field_selector(text: str, fields: dict[str, str], expected: bool) -> None:
    selector = parse_field_selector(text)
    assert selector.matches(fields) is expected
    assert parse_field_selector(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("x=1,a", "invalid selector: 'x=1,a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selector_errors(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_field_selector(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["", "plain", "a,b", "a=b", "\\", r"\,=", "a\\\\b"])
def test_escape_round_trip(value: str) -> None:
    assert unescape_field_value(escape_field_value(value)) == value
