"""Values against schemas: upstream's words, formats, patterns, what an update is not blamed for."""

from typing import Any

import msgspec
import pytest

from pybernetes.apiserver.crd import formats
from pybernetes.apiserver.crd.structural import whole_numbers
from pybernetes.apiserver.crd.values import Rules

INT_OR_STRING = {"x-kubernetes-int-or-string": True}
INTEGER, TEXT = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "value", "found"),
    [
        (INTEGER, "x", ['a: Invalid value: "string": a in body must be of type integer: "string"']),
        (INTEGER, 1.0, []),
        (INTEGER, True, ['a: Invalid value: "boolean": a in body must be of type integer: "boolean"']),
        ({"type": "number"}, 1, []),
        (TEXT, None, ['a: Invalid value: "null": a in body must be of type string: "null"']),
        ({**TEXT, "nullable": True}, None, []),
        (INT_OR_STRING, 1, []),
        (INT_OR_STRING, "80%", []),
        (INT_OR_STRING, 1.5, ['a: Invalid value: "number": a in body must be of type integer,string: "number"']),
        ({**TEXT, "enum": ["x", "y"]}, "z", ['a: Unsupported value: "z": supported values: "x", "y"']),
        ({**INTEGER, "enum": [1]}, 1, []),
        ({**TEXT, "maxLength": 2}, "üü", []),
        ({**TEXT, "maxLength": 2}, "xxx", ["a: Too long: may not be more than 2 bytes"]),
        ({**TEXT, "pattern": "^a$"}, "a\n", ["a: Invalid value: \"a\\n\": a in body should match '^a$'"]),
        ({**INTEGER, "multipleOf": 5}, 7, ["a: Invalid value: 7: a in body should be a multiple of 5"]),
        ({"type": "number", "multipleOf": 0.1}, 0.3, []),
        ({"type": "number", "maximum": 1.5}, 2, ["a: Invalid value: 2: a in body should be less than or equal to 1.5"]),
        (
            {"type": "array", "items": INTEGER},
            [1, "x"],
            ['a[1]: Invalid value: "string": a[1] in body must be of type integer: "string"'],
        ),
        ({"type": "array", "maxItems": 1}, [1, 2], ["a: Too many: 2: must have at most 1 items"]),
        ({"type": "object", "required": ["x"], "properties": {"x": TEXT}}, {}, ["a.x: Required value"]),
        (
            {"type": "object", "additionalProperties": INTEGER},
            {"k": ""},
            ['a.k: Invalid value: "string": a.k in body must be of type integer: "string"'],
        ),
        ({**INTEGER, "not": {"enum": [1]}}, 1, ['<nil>: Invalid value: "": "a" must not validate the schema (not)']),
        (
            {**INTEGER, "oneOf": [{"minimum": 3}, {"maximum": 1}]},
            2,
            [
                '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found none valid',
                "a: Invalid value: 2: a in body should be greater than or equal to 3",
            ],
        ),
        (
            {**INTEGER, "allOf": [{"minimum": 3}, {"minimum": 4}]},
            2,
            [
                "a: Invalid value: 2: a in body should be greater than or equal to 3",
                "a: Invalid value: 2: a in body should be greater than or equal to 4",
                '<nil>: Invalid value: "": "a" must validate all the schemas (allOf). None validated',
            ],
        ),
    ],
)
def test_words(schema: Any, value: Any, found: list[str]) -> None:
    assert [str(e) for e in Rules(schema).check(value, "a")] == found


KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {"type": "object", "properties": {"k": TEXT, "n": {**INTEGER, "maximum": 1}}},
}


@pytest.mark.parametrize(
    ("schema", "old", "new", "fields"),
    [
        ({**INTEGER, "maximum": 1}, 5, 5, []),
        ({**INTEGER, "maximum": 1}, 5, 6, ["a"]),
        (
            {"type": "object", "properties": {"x": {**INTEGER, "maximum": 1}, "y": TEXT}},
            {"x": 5},
            {"x": 5, "y": ""},
            [],
        ),
        (KEYED, [{"k": "p", "n": 5}], [{"k": "q"}, {"k": "p", "n": 5}], []),
        (KEYED, [{"k": "p", "n": 5}], [{"k": "q", "n": 5}], ["a[0].n"]),
        ({"type": "array", "items": {**INTEGER, "maximum": 1}}, [5], [5, 0], ["a[0]"]),
    ],
)
def test_what_did_not_change_is_not_blamed(schema: Any, old: Any, new: Any, fields: list[str]) -> None:
    assert [e.field for e in Rules(schema).check(new, "a", old)] == fields


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("byte", "AAAA", "?"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("date", "2020-01-01", "2020-1-1"),
        ("date-time", "2020-01-01T00:00:00Z", "2020-13-01"),
        ("duration", "1h30m", "soon"),
        ("duration", "3 days", "3 fortnights"),
        ("duration", "about 5Minutes or so", "5 x"),
        ("duration", "-1.5h", f"{2**63}s"),
        ("duration", "1h" * 1000, "h" * 1000),
        ("cidr", "010.0.0.0/08", "10.0.0.0/033"),
        ("cidr", "::ffff:1.2.3.4/120", "::1/129"),
        ("cidr", "0.0.0.0/0", "10.0.0.0/255.0.0.0"),
        ("ipv4", "010.001.0.00", "1..2.3"),
        ("ipv4", "::ffff:1.2.3.4", "1.2.3.256"),
        ("ipv6", "::ffff:1.2.3.4", "fe80::1%eth0"),
        ("email", "a@b.c", "ab"),
        ("email", "A. B <a.b@c>", "A <a@b"),
        ("email", '"a b"@c.d', "a..b@c"),
        ("email", "<a@b>", "a@b, c@d"),
        ("hostname", "a.example.com", "-a"),
        ("hostname", "a-b.c-d.ef", "a.b"),
        ("hostname", "\u00e9.example", "a_b.example"),
        ("hostname", "a-b", "ab-c"),  # a flaw of upstream's pattern
        ("hostname", "a" * 63 + ".example", "a." * 130 + "com"),
        ("date-time", "2020-01-01t00:00:00z", "2020-01-01 00:00:00Z"),
        ("date-time", "2020-02-29T23:59:59.123456789+99:99", "2019-02-29T00:00:00Z"),
        ("date-time", "0000-02-29T00:00:00Z", "2020-01-01T00:00:60Z"),
        ("date-time", "2020-01-01T00:00:00,5Z", "20200101T000000Z"),
        ("date-time", "9999-12-31T23:59:59-01:00", "2020-W01-1T00:00:00Z"),
        ("date-time", "2020-01-01T00:00:00Z", "2020-01-01T00:00Z"),
        ("mac", "00-11-22-33-44-55-66-77", "00:11-22:33-44:55"),
        ("mac", "0011.2233.4455", "001122334455"),
        ("mac", ":".join(["00"] * 20), ":".join(["00"] * 7)),
        ("ipv4", "1.2.3.4", "::1"),
        ("ipv6", "::1", "1.2.3.4"),
        ("isbn13", "978-3-16-148410-0", "978-3-16-148410-1"),
        ("mac", "00:11:22:33:44:55", "00:11"),
        ("uri", "http://a/b", "::"),
        ("uuid4", "00000000-0000-4000-8000-000000000000", "00000000-0000-1000-8000-000000000000"),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    """Kind: what Python's parsers take, or refuse, that the checks of upstream's do not."""
    assert formats.CHECKS[name](good) and not formats.CHECKS[name](bad)


@pytest.mark.parametrize(
    "text",
    ["a" * 300_001, "a " * 150_000, '"' * 300_000, "a." * 150_000, "a@" * 150_000, "\\" * 300_000, ":0" * 99_999],
)
def test_formats_look_at_no_text_twice(text: str) -> None:
    """Kind: a regular expression over a client's bytes. Each of these would take hours otherwise."""
    assert [name for name, check in formats.CHECKS.items() if check(text)] == []


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^(?i)(abort|warn)?$", "WARN", "warned"),
        (r"^\p{L}+$", "Straße", "a1"),
        ("(?m)^b$", "a\nb\nc", "abc"),
        ("^(a+)+$", "a" * 5000, "a" * 5000 + "!"),  # which a matcher that goes back would try for ever
    ],
)
def test_patterns_are_gos(pattern: str, good: str, bad: str) -> None:
    rules = Rules({**TEXT, "pattern": pattern})
    assert rules.check(good) == []
    assert [one.body[-len(pattern) - 15 :] for one in rules.check(bad)] == [f"should match '{pattern}'"]


def test_a_pattern_of_old_times_that_is_none_matches_nothing() -> None:
    (error,) = Rules({**TEXT, "pattern": "(a"}).check("a", "x")
    assert error.body.endswith(
        "should match '(a, but pattern is invalid: error parsing regexp: missing closing ): `(a`'"
    )


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({**INTEGER, "format": "int32"}, 2**31 - 1, True),
        ({**INTEGER, "format": "int32"}, 2**31, False),
        ({**INTEGER, "format": "int32"}, -(2**31) - 1, False),
        ({**INTEGER, "format": "int64"}, 2**63 - 1, True),
        ({**INTEGER, "format": "uint8"}, 300, True),  # a format that is not known says nothing
        ({"type": "number", "format": "float"}, 3.4e38, True),
        ({"type": "number", "format": "float"}, -3.5e38, False),
        ({"type": "number", "format": "double"}, 1e308, True),
        ({"type": "number", "format": "int32"}, 2**40, True),
    ],
)
def test_numbers_are_within_their_format(schema: dict[str, Any], value: float, fits: bool) -> None:
    found = [error.body for error in Rules(schema).check(value, "spec.n")]
    kind = f"{schema['type']} with format {schema['format']}"
    wrong = f'Invalid value: "": Checked value must be of type {kind} in spec.n'
    assert found == ([] if fits else [wrong])


@pytest.mark.parametrize("text", ["9223372036854775808", "1e17", "9007199254740992.0"])
def test_what_is_no_int64_is_no_integer(text: str) -> None:
    """The kind: to Go a number that is not written as an int64 is a float, and no integer beyond 2^53."""
    value = whole_numbers({"n": msgspec.json.decode(text)})["n"]
    found = Rules({"type": "integer"}).check(value, "n")
    assert [error.body for error in found] == ['Invalid value: "number": n in body must be of type integer: "number"']
    assert Rules({"type": "number"}).check(value, "n") == []


@pytest.mark.parametrize(
    ("text", "fits"), [("aGk=", True), ("aGVsbG8h", True), ("", False), ("aG\nk=", False), ("aGk", False)]
)
def test_bytes_of_custom_resources_are_a_pattern(text: str, fits: bool) -> None:
    """Not Go's decoder, which takes ends of lines: upstream asks govalidator."""
    assert (Rules({"type": "string", "format": "byte"}).check(text, "a") == []) is fits


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({**TEXT, "format": "uri"}, "http://[", False),
        ({**TEXT, "format": "uri"}, "http://[::1]/", True),
        ({**TEXT, "format": "uri"}, "http://[a]b/", False),
        ({"type": "number", "multipleOf": 0.1}, 1e308, False),
        ({"type": "number", "multipleOf": 1e-300}, 1e300, False),
        ({"type": "number", "multipleOf": 0.5}, 10**400, False),
        ({"type": "number", "multipleOf": 0.5}, 1e15, True),
        ({**TEXT, "format": "ssn"}, "\u0663" * 3 + "-33-3333", False),
        ({**TEXT, "format": "date"}, "\u0662020-01-01", False),
    ],
)
def test_values_that_python_stumbles_over(schema: dict[str, Any], value: Any, fits: bool) -> None:
    """The kind: what a library of Python raises for, or reads in its own way. Numbers beyond floats, brackets, digits of other scripts."""
    assert (Rules(schema).check(value) == []) is fits
