"""Values: operators, absorbed errors, equality over types, and what goes wrong when an expression is evaluated."""

from typing import Any

import pytest

from pybernetes.cel import types
from pybernetes.cel.environment import environment
from pybernetes.cel.errors import CostExceeded, NoSuchOverload
from pybernetes.cel.values import Uint

from .evaluate import VALUES, VARIABLES, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("7 / -2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("7u / 2u", Uint(3)),
        ("1.0 / 0.0 > 1.0", True),
        ("0.0 / 0.0 == 0.0 / 0.0", False),
        ("1 == 1.0", None),
        ("dyn(1) == 1.0", True),
        ("dyn(1) == 1u", True),
        ("dyn(true) == 1", False),
        ("dyn(1) == '1'", False),
        ("dyn([1, 2]) == [1.0, 2.0]", True),
        ("dyn({'a': 1}) == {'a': 1u}", True),
        ("1 < 1.5", True),
        ("2u > 1", True),
        ("1u <= 1.0", True),
        ("'a' < 'b'", True),
        ("b'a' < b'b'", True),
        ("false < true", True),
        ("[1] + [2, 3]", [1, 2, 3]),
        ("'a' + 'b'", "ab"),
        ("1.0 in [1.0]", True),
        ("dyn(1.0) in [1, 2]", True),
        ("dyn(true) in [1]", False),
        ("'k' in m", True),
        ("'x' in m", False),
        ("{1: 'a'}[1]", "a"),
        ("{true: 'a'}[true]", "a"),
        ("{1: 'a'}[dyn(1.0)]", "a"),
        ("{1u: 'a'}[1u]", "a"),
        ("has(any.a)", True),
        ("has(any.x)", False),
        ("has(any.a.x)", False),
        ("any['null'] == null", True),
        ("type(any.n) == int", True),
        ("l.all(x, x > 0)", True),
        ("l.exists(x, x == 2)", True),
        ("l.exists_one(x, x > 2)", True),
        ("l.existsOne(x, x > 1)", False),
        ("l.map(x, x * 2)", [2, 4, 6]),
        ("l.map(x, x > 1, x * 2)", [4, 6]),
        ("l.filter(x, x != 2)", [1, 3]),
        ("m.all(k, k == 'k')", True),
        ("l.all(i, x, i + 1 == x)", True),
        ("m.exists(k, v, v == 1)", True),
        ("l.transformList(i, x, i * x)", [0, 2, 6]),
        ("l.transformList(i, x, i > 0, i * x)", [2, 6]),
        ("m.transformMap(k, v, v + 1)", {"k": 2}),
        ("m.transformMapEntry(k, v, {v: k})", {1: "k"}),
        ("l.all(x, l.exists(y, y == x))", True),
        ("[[1, 2], [3]].map(x, x.map(y, y + 1))", [[2, 3], [4]]),
        ("optional.of(1).optMap(x, x + 1).value()", 2),
        ("optional.none().optMap(x, 1).hasValue()", False),
        ("any.?a.optFlatMap(x, x.?b).orValue('')", "c"),
        ("optional.none().or(optional.of(2)).value()", 2),
        ("any.?x.y.z.orValue(1)", 1),
        ("any.list[?5].orValue(0)", 0),
        ("any.list[?0].orValue(0)", 1),
        ("[3, 1, 2].sortBy(x, -x)", [3, 2, 1]),
        ("size('é😀')", 2),
        ("true ? 1 : 2", 1),
        ("i == 5 ? 'five' : 'other'", "five"),
        ("type(type(1)) == type", True),
        ("type([]) == list", True),
    ],
)
def test_values(source: str, expected: Any) -> None:
    found = value(source)
    if expected is None:
        assert "no matching overload" in found
    else:
        assert found == expected and type(found) is type(expected), found


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("1 / (i - 5) == 0", "division by zero"),
        ("1 % (i - 5) == 0", "modulus by zero"),
        ("1u / u == 0u", "no such attribute(s): u"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("-9223372036854775808 - 1", "integer overflow"),
        ("-(-9223372036854775808)", "integer overflow"),
        ("9223372036854775807 * 2", "integer overflow"),
        ("-9223372036854775808 / -1", "integer overflow"),
        ("0u - 1u", "unsigned integer overflow"),
        ("m['x'] == 1", "no such key: x"),
        ("m.x == 1", "no such key: x"),
        ("any.x == 1", "no such key: x"),
        ("any.a.x == 1", "no such key: x"),
        ("l[5] == 1", "index out of bounds: 5"),
        ("l[-1] == 1", "index out of bounds: -1"),
        ("any.list['a'] == 1", "unsupported index: a"),
        ("any.n + any.a == 1", "no such overload"),
        ("any.n.x == 1", "no such overload"),
        ("any.n && true", "no such overload"),
        ("any.n.startsWith('a')", "no such overload: startsWith(int, string)"),
        ("optional.none().value() == 1", "optional.none() dereference"),
        ("{'a': 1, s.substring(0, 0) + 'a': 2}.size() == 1", "Failed with repeated key: a"),
        ("d < 0.0 / 0.0", "NaN values cannot be ordered"),
        ("[1, 1].transformMapEntry(i, v, {v: i}).size() == 1", "insert failed: key 1 already exists"),
        ("int('x') == 1", "program instantiation failed: type conversion error from 'string' to 'int'"),
        ("int(s) == 1", "type conversion error from 'string' to 'int'"),
        ("int(9e18 * 10.0) == 1", "integer overflow"),
        ("uint(i - 6) == 1u", "unsigned integer overflow"),
        ("duration('100000h') + duration('2500000h') == duration('1h')", "integer overflow"),
        ("timestamp(253402300799) + duration('1s') == timestamp(0)", "timestamp overflow"),
        ("s.find(')') == ''", "program instantiation failed: error parsing regexp: unexpected ): `)`"),
        ("s.matches(s + '(')", "error parsing regexp: missing closing ): `text(`"),
    ],
)
def test_failures(source: str, told: str) -> None:
    assert value(source) == told


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("any.x == 1 || true", True),
        ("true || any.x == 1", True),
        ("any.x == 1 && false", False),
        ("any.n && false", False),
        ("any.x == 1 || false", "no such key: x"),
        ("false || any.x == 1", "no such key: x"),
        ("any.x == 1 || any.y == 1", "no such key: x"),
        ("any.list.exists(e, e == 1 || e.size() > 9)", True),
        ("any.list.exists(e, e.size() == 1)", True),
        ("any.list.all(e, e.size() > 5)", False),
        ("any.list.all(e, e.size() == 1)", "no such overload: size(int)"),
        ("any.list.exists_one(e, e.size() == 1)", "no such overload: size(int)"),
        ("b ? i == 5 : any.x", True),
    ],
)
def test_one_side_decides_whatever_is_wrong_with_the_other(source: str, expected: Any) -> None:
    assert value(source) == expected


def test_a_variable_without_a_value_is_told_of_when_asked_for() -> None:
    assert value("i > 1 || b", {"b": True}) is True
    assert value("i > 1", {}) == "no such attribute(s): i"


def test_missing_overloads_can_be_told_from_other_failures() -> None:
    with pytest.raises(NoSuchOverload):
        environment(VARIABLES).compile("any.n + any.a == 1").evaluate(VALUES)


def _nested(depth: int, body: str) -> str:
    """A list that has a list twice, that has a list twice, ...: bound one within the other, so that none is paid for twice."""
    for index in range(depth, 0, -1):
        body = f"optional.of([v{index - 1}, v{index - 1}]).optMap(v{index}, {body})"
    return f"optional.of([1]).optMap(v0, {body})"


DOUBLING = "".join(f".optMap(v{i}, [v{i}, v{i}])" for i in range(40))


@pytest.mark.parametrize(
    "source",
    [
        "lists.range(1000000000000).size() == 1",
        "'a'.replace('', 'b').replace('', 'c').size() > 0 && lists.range(1200).map(x, lists.range(1200)).size() > 0",
        "lists.range(3000).all(x, lists.range(3000).all(y, x == y || true))",
        f"optional.of([1]){DOUBLING}.value() == optional.of([1]){DOUBLING}.value()",
        f"optional.of([1]){DOUBLING}.value().flatten(99).size() == 1",
        f"'%s'.format([optional.of(['a']){DOUBLING}.value()]) == ''",
        "optional.of([1])" + "".join(f".optMap(v{i}, v{i} + v{i})" for i in range(40)) + ".hasValue()",
        "optional.of('a')" + "".join(f".optMap(v{i}, v{i} + v{i})" for i in range(40)) + ".hasValue()",
        "optional.of('aaaaaaaaaa')"
        + "".join(f".optMap(v{i}, v{i}.replace('', v{i}))" for i in range(9))
        + ".hasValue()",
        "optional.of(['aaaaaaaaaa'])"
        + "".join(f".optMap(v{i}, [v{i}.join(v{i}.join('xxxxxxxxxxx')), v{i}[0] + v{i}[0]])" for i in range(60))
        + ".hasValue()",
        "lists.range(900).map(x, string(x)).join('x').matches('(' + lists.range(900).map(x, string(x)).join('|') + ')*$') && lists.range(2000).distinct().sort().size() > 0",  # noqa: E501
        "lists.range(9000).all(x, big.matches('') || true)",
        "lists.range(9000).all(x, big.findAll('').size() > 0)",
        "lists.range(150000).all(x, timestamp(big) == timestamp(0) || duration(big) == duration('1s') || int(big) == 1 || x == x)",
        "lists.range(60000).all(x, timestamp('2020-01-01T00:00:00Z').getHours('Zone/A' + string(x)) == 1 || true)",
        "lists.range(60000).all(x, 'a'.matches('(a{1,30}b{1,30}){1,30}' + string(x)) || true)",
        "lists.range(60000).all(x, '%s'.format([big]) == 'a' || true)",
        "lists.range(60000).all(x, [[big]] == [[big + 'a']] || true)",
        _nested(18, "lists.range(60000).all(x, v18 == [v17, v17])"),
        _nested(60, "v60 == [v59, v59]"),
        _nested(60, "[v60].distinct().size() == 1"),
    ],
)
def test_nothing_takes_more_than_its_budget(source: str) -> None:
    """Lists within lists, texts that double, ranges, sorting, and what costs 1 however large it is: all end soon, and none
    with more memory than a budget pays for."""
    program = environment({**VARIABLES, "big": types.STRING}).compile(source)
    with pytest.raises(CostExceeded, match="operation cancelled: actual cost limit exceeded"):
        program.evaluate({**VALUES, "big": "1" * 300_000})
