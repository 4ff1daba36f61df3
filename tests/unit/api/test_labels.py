from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.labels import (
    EVERYTHING,
    SelectorError,
    dns1123_label_errors,
    dns1123_subdomain_errors,
    escape_field_value,
    label_key_errors,
    label_value_errors,
    new_requirement,
    parse_field_selector,
    parse_selector,
    selector_from_dict,
    unescape_field_value,
)

NAME_SHAPE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', "
    "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_SHAPE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
    "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
LABEL_SHAPE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
    "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_SHAPE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', "
    r"regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("  ", ""),
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("z=1, a==2", "a==2,z=1"),
        ("x!=a", "x!=a"),
        ("x=", "x="),
        ("x=,z= ", "x=,z="),
        ("x", "x"),
        ("!x", "!x"),
        ("! x , y", "!x,y"),
        ("x in (b, a)", "x in (a,b)"),
        ("x notin (a)", "x notin (a)"),
        ("x in (a,a)", "x in (a)"),
        ("x in (,)", "x in ()"),
        ("x in ()", "x in ()"),
        ("x in (a,,b)", "x in (,a,b)"),
        ("x in (a,)", "x in (,a)"),
        ("in in (notin)", "in in (notin)"),
        ("x>1,y<2", "x>1,y<2"),
        ("example.com/role=web", "example.com/role=web"),
    ],
)
def test_parse(text: str, canonical: str) -> None:
    assert str(parse_selector(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        (",x", "found ',', expected: !, identifier, or 'end of string'"),
        ("x,", "found '', expected: identifier after ','"),
        ("x=a b", "found 'b', expected: ',' or 'end of string'"),
        ("!x=a", "found '=', expected: ',' or 'end of string'"),
        ("x=a||y=b", f'unable to parse requirement: values[0][x]: Invalid value: "a||y": {VALUE_SHAPE}'),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"),
        ("x==!y", "unable to parse requirement: found '!', expected: identifier"),
        ("x in a", "unable to parse requirement: found 'a' expected: '('"),
        ("x in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"),
        ("x in (a,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        (
            "x>a",
            'unable to parse requirement: values[0]: Invalid value: "a": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("-x=a", f'unable to parse requirement: <nil>: Invalid value: "-x": name part {NAME_SHAPE}'),
    ],
)
def test_parse_errors(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("x=a", {"x": "a"}, True),
        ("x=a", {}, False),
        ("x!=a", {}, True),
        ("x!=a", {"x": "a"}, False),
        ("x in (a,b)", {"x": "b"}, True),
        ("x notin (a,b)", {"x": "b"}, False),
        ("x notin (a,b)", {"y": "b"}, True),
        ("x in (,a)", {"x": ""}, True),
        ("x", {"x": ""}, True),
        ("!x", {"x": ""}, False),
        ("!x", {}, True),
        ("x>1", {"x": "2"}, True),
        ("x>1", {"x": "1"}, False),
        ("x<1", {"x": "0"}, True),
        ("x<1", {"x": "zero"}, False),
        ("x<1", {}, False),
        ("x=a,y=b", {"x": "a"}, False),
    ],
)
def test_matches(text: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_selector(text).matches(labels) is expected


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {}, False),
        ({}, {"a": "b"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}, {"a": "c"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchLabels": None, "matchExpressions": None}, None, True),
    ],
)
def test_selector_from_dict(selector: dict[str, Any] | None, labels: dict[str, str] | None, expected: bool) -> None:
    assert selector_from_dict(selector).matches(labels) is expected


def test_selector_from_dict_errors() -> None:
    assert selector_from_dict({}) == EVERYTHING
    with pytest.raises(SelectorError, match=r'^"Gt" is not a valid label selector operator$'):
        selector_from_dict({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]})
    with pytest.raises(SelectorError, match=r"values set must be empty for exists and does not exist$"):
        selector_from_dict({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["1"]}]})


def test_new_requirement_joins_errors() -> None:
    with pytest.raises(SelectorError) as caught:
        new_requirement("x", "=", ["a", "b "])
    assert str(caught.value) == (
        '[values: Invalid value: ["a","b "]: exact-match compatibility requires one single value, '
        f'values[1][x]: Invalid value: "b ": {VALUE_SHAPE}]'
    )
    with pytest.raises(SelectorError, match=r'^operator: Unsupported value: "~": supported values: "in", "notin", '):
        new_requirement("x", "~", ["a"])


@pytest.mark.parametrize(
    ("key", "errors"),
    [
        ("simple", []),
        ("Example_1.x", []),
        ("example.com/name", []),
        ("", ["name part must be non-empty", f"name part {NAME_SHAPE}"]),
        ("/name", ["prefix part must be non-empty"]),
        ("a" * 254 + "/name", ["prefix part must be no more than 253 bytes"]),
        ("Bad/name", [f"prefix part {SUBDOMAIN_SHAPE}"]),
        ("a" * 64, ["name part must be no more than 63 bytes"]),
        ("name\n", [f"name part {NAME_SHAPE}"]),
        (
            "a/b/c",
            [
                f"a valid label key {NAME_SHAPE} "
                "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ],
        ),
    ],
)
def test_label_key(key: str, errors: list[str]) -> None:
    assert label_key_errors(key) == errors


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ("", []),
        ("a_b.C-1", []),
        ("-a", [VALUE_SHAPE]),
        ("a\n", [VALUE_SHAPE]),
        ("a" * 64, ["must be no more than 63 bytes"]),
    ],
)
def test_label_value(value: str, errors: list[str]) -> None:
    assert label_value_errors(value) == errors


@pytest.mark.parametrize(
    ("value", "label", "subdomain"),
    [
        ("my-name", [], []),
        ("a.b", ["must not contain dots"], []),
        ("", [LABEL_SHAPE], [SUBDOMAIN_SHAPE]),
        ("A", [LABEL_SHAPE], [SUBDOMAIN_SHAPE]),
        ("a..b", [LABEL_SHAPE], [SUBDOMAIN_SHAPE]),
        ("a" * 64, ["must be no more than 63 characters"], []),
        ("a" * 254, ["must be no more than 63 characters"], ["must be no more than 253 characters"]),
    ],
)
def test_dns1123(value: str, label: list[str], subdomain: list[str]) -> None:
    assert dns1123_label_errors(value) == label
    assert dns1123_subdomain_errors(value) == subdomain


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
