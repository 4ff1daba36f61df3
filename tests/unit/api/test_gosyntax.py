"""JSON as Go reads it: the words of its scanner, and what it lets pass."""

from __future__ import annotations

import time

import pytest

from pybernetes.api.gosyntax import Number, read, syntax_error

END = "unexpected end of JSON input"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", END),
        ("  ", END),
        ("{", END),
        ('{"a', END),
        ('{"a":1', END),
        ('{"a"', END),
        ("[1,", END),
        ("nul", "invalid character ' ' in literal null (expecting 'l')"),
        ('{"a":t', "invalid character ' ' in literal true (expecting 'r')"),
        ("[1.", "invalid character ' ' after decimal point in numeric literal"),
        ("1e+", "invalid character ' ' in exponent of numeric literal"),
        ("[-", "invalid character ' ' in numeric literal"),
        ('"x\\', "invalid character ' ' in string escape code"),
        ('"x\\\\', END),
        ('"\\u12', "invalid character ' ' in \\u hexadecimal character escape"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("[,]", "invalid character ',' looking for beginning of value"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ('[{"a":1]', "invalid character ']' after object key:value pair"),
        ("{} tr", "invalid character 't' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
        ("[nulx]", "invalid character 'x' in literal null (expecting 'l')"),
        ("[tx]", "invalid character 'x' in literal true (expecting 'r')"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("[1.x]", "invalid character 'x' after decimal point in numeric literal"),
        ("[1e+]", "invalid character ']' in exponent of numeric literal"),
        ("[1.5.3]", "invalid character '.' after array element"),
        ("[NaN]", "invalid character 'N' looking for beginning of value"),
        ("[-Infinity]", "invalid character 'I' in numeric literal"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"a\x01b"', "invalid character '\\x01' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\\\\\q"', "invalid character 'q' in string escape code"),
        ('"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
    ],
)
def test_words(text: str, words: str) -> None:
    assert syntax_error(text.encode()) == words


@pytest.mark.parametrize("text", ["1", " [ ] ", '{"a":{"a":[1e5,-0.1,null]}}', '"\\ud800"', '"\\/"'])
def test_nothing_is_wrong(text: str) -> None:
    assert syntax_error(text.encode()) == ""


def test_read_keeps_the_text_of_numbers_and_replaces_what_is_no_text() -> None:
    assert read(b'{"a":2.0,"b":[3e+06,1e400]}') == {"a": Number("2.0"), "b": [Number("3e+06"), Number("1e400")]}
    assert read(b'["\xff\xe2\x82","\\udc00x"]') == ["\ufffd\ufffd\ufffd", "\ufffdx"]
    assert read(b'{"a":1,"a":2,"b":3}').twice == {"a"}


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("-0", 0), ("3e6", 3e6), ("9223372036854775808", 9223372036854775808.0), ("2.0", 2.0)]
)
def test_numbers_without_a_type(text: str, value: float) -> None:
    assert (Number(text).value, type(Number(text).value)) == (value, type(value))


def test_numbers_beyond_a_float() -> None:
    with pytest.raises(OverflowError):
        _ = Number("1e400").value


@pytest.mark.parametrize("part", ["[[1],", '{"a":{"b":[', '"\\\\', "1 ", "[{},", "1"])
def test_long_nonsense_is_quick(part: str) -> None:
    body = part.encode() * (1_000_000 // len(part))
    start = time.process_time()
    assert syntax_error(body) if part != "1" else not syntax_error(body)
    assert time.process_time() - start < 2.0
