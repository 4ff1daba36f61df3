"""The grammar and its literals; the words and places of what is no expression."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pybernetes.cel.environment import environment
from pybernetes.cel.errors import CelError, CompileError
from pybernetes.cel.parser import parse
from pybernetes.cel.values import Uint

from .evaluate import VALUES, VARIABLES, first_line, value

STARTERS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("0x1F", 31),
        ("-0x10", -16),
        ("12u", Uint(12)),
        ("0x10u", Uint(16)),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1.5e-2", -0.015),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551615u", Uint(2**64 - 1)),
        (r"'a\n\x41\u00e9\U0001F600\101\?\`\''", "a\nAé😀A?`'"),
        (r"r'a\n'", r"a\n"),
        (r'R"""a"b"""', 'a"b'),
        ("'''a\nb'''", "a\nb"),
        (r"b'\xff\101é'", b"\xffA\xc3\xa9"),
        (r"br'\x'", b"\\x"),
        ("b'''a'''", b"a"),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("(1 + 2) * 3", 9),
        ("7 % 4 * 2", 6),
        ("--1", 1),
        ("---1", -1),
        ("!!true", True),
        ("-(1)", -1),
        ("1 < 2 == true", True),
        ("true ? 1 : false ? 2 : 3", 1),
        ("false ? 1 : true ? 2 : 3", 2),
        ("1 in [1, 2]", True),
        ("true || false && false", True),
        ("[1, 2,]", [1, 2]),
        ("{'a': 1,}", {"a": 1}),
        ("[,]", []),
        ("{,}", {}),
        ("{'a-b': 1}.`a-b`", 1),
        ("[1, ?optional.none(), ?optional.of(2)]", [1, 2]),
        ("{?'a': optional.of(1), ?'b': optional.none()}", {"a": 1}),
        ("1 // comment\n + 1", 2),
        (".i + 1", 6),
        ("any.?a.?b.orValue('')", "c"),
        ("any[?'x'].hasValue()", False),
        ("\t1\r\n\f", 1),
    ],
)
def test_expressions(source: str, expected: Any) -> None:
    found = value(source)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", f"ERROR: <input>:1:1: Syntax error: mismatched input '<EOF>' expecting {STARTERS}"),
        ("1 +", f"ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {STARTERS}"),
        ("* 1", f"ERROR: <input>:1:1: Syntax error: extraneous input '*' expecting {STARTERS}"),
        ("1 2", "ERROR: <input>:1:3: Syntax error: extraneous input '2' expecting <EOF>"),
        ("1 2 3", "ERROR: <input>:1:3: Syntax error: mismatched input '2' expecting <EOF>"),
        ("i = 1", "ERROR: <input>:1:3: Syntax error: token recognition error at: '= '"),
        ("i | b", "ERROR: <input>:1:3: Syntax error: token recognition error at: '| '"),
        ("i $ 1", "ERROR: <input>:1:3: Syntax error: token recognition error at: '$'"),
        ("'abc", "ERROR: <input>:1:1: Syntax error: token recognition error at: ''abc'"),
        (r"'\z'", r"ERROR: <input>:1:1: Syntax error: token recognition error at: ''\z'"),
        ("s.", "ERROR: <input>:1:3: Syntax error: no viable alternative at input '.'"),
        ("s.true", "ERROR: <input>:1:3: Syntax error: mismatched input 'true' expecting IDENTIFIER"),
        ("[1", "ERROR: <input>:1:3: Syntax error: mismatched input '<EOF>' expecting ']'"),
        ("while", "ERROR: <input>:1:1: reserved identifier: while"),
        ("99999999999999999999", "ERROR: <input>:1:1: invalid int literal"),
        ("1u + 99999999999999999999u", "ERROR: <input>:1:6: invalid uint literal"),
        ("1e999", "ERROR: <input>:1:1: invalid double literal"),
        (r"'\uD800'", "ERROR: <input>:1:1: invalid unicode code point"),
        ("has(i)", "ERROR: <input>:1:5: invalid argument to has() macro"),
        ("l.all(1, true)", "ERROR: <input>:1:7: argument must be a simple name"),
        ("l.map(1, true)", "ERROR: <input>:1:7: argument is not an identifier"),
        ("l.all(__result__, true)", "ERROR: <input>:1:7: iteration variable overwrites accumulator variable"),
        ("l.all(x, x, true)", "ERROR: <input>:1:10: duplicate variable name: x"),
    ],
)
def test_faults(source: str, told: str) -> None:
    assert first_line(source) == told


def test_places_are_shown_under_their_line() -> None:
    assert value("1 == 1 &&\n\tñ.x == 2 && '日本' == nothing") == (
        "ERROR: <input>:2:2: Syntax error: token recognition error at: 'ñ'\n |  ñ.x == 2 && '日本' == nothing\n | .＾\n"  # noqa: RUF001
        "ERROR: <input>:2:3: Syntax error: extraneous input 'x' expecting <EOF>"
    ) or "token recognition error at: 'ñ'" in str(value("1 == 1 &&\n\tñ.x == 2"))
    assert value("'日本' == nothing") == (
        "ERROR: <input>:1:9: undeclared reference to 'nothing' (in container '')\n | '日本' == nothing\n | .．．.....^"  # noqa: RUF001
    )


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ("(" * 249 + "1" + ")" * 249, True),
        ("(" * 250 + "1" + ")" * 250, False),
        ("1" + " + 1" * 248, True),
        ("1" + " + 1" * 260, False),
        ("any" + ".a" * 249, True),
        ("any" + ".a" * 250, False),
        ("b" + " || b" * 3000, True),  # balanced: no deep tree
        ("[" * 249 + "]" * 249, True),
        ("[" * 3000, False),
        ("-" * 3000 + "1", True),
    ],
)
def test_depth_is_limited(source: str, fits: bool) -> None:
    """Upstream's words, and never Python's own limit."""
    try:
        environment(VARIABLES).compile(source)
        assert fits
    except CompileError as error:
        assert not fits
        assert "expression recursion limit exceeded: 250" in str(error) or "mismatched input" in str(error)


def test_length_is_limited() -> None:
    assert (
        first_line("1" + " " * 100_000)
        == "ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000"
    )


PARTS = st.sampled_from(
    [
        "i",
        "any",
        ".a",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "?",
        ":",
        "+",
        "-",
        "*",
        "!",
        "&&",
        "||",
        "==",
        "in",
        "1",
        "2u",
        "1.5",
        "'x'",
        "b'x'",
        "null",
        "true",
        ".?a",
        "[?",
        ".all(x,",
        ".map(x,",
        ".exists(x, y,",
        "has(",
        "optional.of(",
        ".optMap(v,",
        "size(",
        "`a`",
        "\\",
        "\n",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(PARTS, max_size=25).map(" ".join)))
@example("'")
@example("\ud800")
@example("{?")
@example("!-")
@example("!-(1)")
def test_nothing_but_refusals(source: str) -> None:
    """Whatever the text, parsing, checking and evaluating it raises errors of CEL's alone."""
    with contextlib.suppress(CelError):
        environment(VARIABLES).compile(source).evaluate(VALUES, limit=20_000)


@given(st.text(max_size=30))
def test_the_parser_alone(source: str) -> None:
    try:
        parse(source)
    except CompileError as error:
        assert str(error).startswith("ERROR: <input>:")
