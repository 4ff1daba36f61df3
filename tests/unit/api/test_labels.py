"""Label selectors."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.labels import (
    EVERYTHING,
    NOTHING,
    SelectorError,
    as_selector,
    new_requirement,
    parse_selector,
    selector_from_dict,
)
from pybernetes.api.types import from_json
from pybernetes.api.types import meta_v1 as meta

from .test_names import NAME_SHAPE, VALUE_SHAPE


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
    "selector",
    [
        None,
        {},
        {"matchLabels": {"b": "2", "a": "1"}},
        {"matchExpressions": [{"key": "k", "operator": "In", "values": ["y", "x"]}]},
        {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "k", "operator": "DoesNotExist"}]},
    ],
)
def test_typed_selectors_are_those_of_json(selector: dict[str, Any] | None) -> None:
    typed = None if selector is None else from_json(selector, meta.LabelSelector)
    assert as_selector(typed) == selector_from_dict(selector)


def test_typed_selectors() -> None:
    assert (as_selector(None), as_selector(meta.LabelSelector())) == (NOTHING, EVERYTHING)
    with pytest.raises(SelectorError, match='"Gt" is not a valid label selector operator'):
        as_selector(from_json({"matchExpressions": [{"key": "k", "operator": "Gt"}]}, meta.LabelSelector))


def test_the_order_of_what_is_written_does_not_matter() -> None:
    """Who counts by selector counts once for those that mean the same."""

    def selector(labels: dict[str, str], values: list[str]) -> meta.LabelSelector:
        requirement = meta.LabelSelectorRequirement(key="k", operator="In", values=values)
        return meta.LabelSelector(match_labels=labels, match_expressions=[requirement])

    first = as_selector(selector({"a": "1", "b": "2"}, ["x", "y"]))
    second = as_selector(selector({"b": "2", "a": "1"}, ["y", "x"]))
    assert first == second and hash(first) == hash(second)
