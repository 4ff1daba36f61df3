"""What expressions cost, unit by unit as upstream counts, and may cost at most by a schema."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.cel import schematypes
from pybernetes.cel.environment import environment
from pybernetes.cel.errors import CelError, CostExceeded
from pybernetes.cel.estimate import estimate, sizes_of

from .evaluate import VALUES, VARIABLES, cost


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 == 1", 1),
        ("i == 5", 2),
        ("any.a.b == 'c'", 4),
        ("has(any.a)", 1),
        ("has(any.a.b)", 2),
        ("l[0] == 1", 3),
        ("m['k'] == 1", 3),
        ("m[s] == 1 || true", 2),
        ("b || i == 1", 1),
        ("!b || i == 5", 4),
        ("b ? i == 5 : false", 3),
        ("[1, 2, 3].size() == 3", 2),
        ("[i].size() == 1", 13),
        ("{'a': i}.size() == 1", 33),
        ("'a' in ['a', 'b']", 0),
        ("i in [1, 2, 5]", 1),
        ("i in l", 5),
        ("'k' in m", 2),
        ("s.startsWith('te')", 2),
        ("s.contains('x')", 2),
        ("s.matches('a+b*')", 2),
        ("s + 'text' == 'texttext'", 3),
        ("type(i) == int", 3),
        ("timestamp('2020-01-01T00:00:00Z') == timestamp('2020-01-01T00:00:00Z')", 1),
        ("l.all(x, x > 0)", 17),
        ("l.exists(x, x == 1)", 11),
        ("l.exists_one(x, x == 1)", 11),
        ("l.map(x, x).size() == 3", 43),
        ("l.filter(x, x > 1).size() == 2", 36),
        ("any.?a.?b.orValue('') == 'c'", 4),
        ("any.?x == optional.none()", 3),
        ("optional.of('a').hasValue()", 2),
        ("quantity('200M') == quantity('0.2G')", 3),
        ("[1, 2, 3, 4].isSorted()", 4),
        ("url('https:://kubernetes.io/').getHostname() != 'test'", 4),
        ("'abc 123 def 123'.split(' ').size() > 0", 5),
        ("sets.contains([1, 2], [2])", 3),
        ("[3, 1].sort() == [1, 3]", 20),
        ("lists.range(5).size() == 5", 18),
        ("cidr('192.168.0.0/24').containsIP('192.168.0.1')", 5),
    ],
)
def test_costs(source: str, expected: int) -> None:
    assert cost(source) == expected


@pytest.mark.parametrize("limit", [1, 10, 60])
def test_limits(limit: int) -> None:
    program = environment(VARIABLES).compile("l.all(x, l.all(y, x + y > 0))")
    with pytest.raises(CostExceeded) as raised:
        program.evaluate(VALUES, limit)
    assert limit < raised.value.cost < limit + 60
    assert program.evaluate(VALUES, 200) is True


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "s": {"type": "string", "maxLength": 10},
        "u": {"type": "string"},
        "n": {"type": "integer"},
        "l": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 10}},
        "m": {"type": "object", "maxProperties": 3, "additionalProperties": {"type": "integer"}},
        "e": {"type": "string", "enum": ["a", "bcd"]},
    },
}


@pytest.mark.parametrize(
    ("source", "most"),
    [
        ("self.n == 1", 2),
        ("self.s == 'a'", 3),
        ("self.s == self.s", 8),
        ("self.u == self.u", 314577),
        ("self.e == self.e", 5),
        ("self.s.contains(self.s)", 20),
        ("self.s.startsWith('abc')", 3),
        ("self.s.matches('abcd')", 7),
        ("self.l.all(x, x == 'a')", 28),
        ("self.l.exists(x, x == self.s)", 58),
        ("self.m.all(k, self.m[k] > 0)", 27),
        ("self.l.map(x, x + x).size() == 5", 125),
        ("self.l.join(',').size() < 5", 25),
        ("self.s.replace('', 'xx').size() < 5", 12),
        ("self.l.isSorted()", 27),
        ("has(self.s) && self.s != ''", 3),
        ("self.l[0] == 'a'", 4),
        ("quantity(self.s).isInteger()", 7),
        ("self.l.sort() == self.l", 69),
        ("sets.contains(self.l, ['a'])", 18),
        ("dyn(self.s) == 'a'", 4),
        ("optional.of('a').optMap(v, v == 'value').hasValue()", 18),
        ("self.n > 1 ? self.s == 'a' : self.s == 'abcdefghijk'", 7),
    ],
)
def test_estimates(source: str, most: int) -> None:
    declared = schematypes.declaration(SCHEMA)
    assert declared is not None
    tree = environment({"self": declared.type}).check(source)
    assert estimate(tree, sizes_of(declared)).most == most


EXPRESSIONS = st.recursive(
    st.sampled_from(["l", "m", "i", "s", "[1, 2]", "any", "lists.range(50)", "'abcabc'", "[l, l]"]),
    lambda below: st.one_of(
        st.tuples(below, st.sampled_from(["map", "filter", "exists", "all"]), below).map(
            lambda t: f"{t[0]}.{t[1]}(x{len(t[2]) % 3}, {t[2]} == {t[2]})"
        ),
        st.tuples(below, below).map(lambda t: f"dyn({t[0]}) + dyn({t[1]})"),
        st.tuples(
            below,
            st.sampled_from([".size()", ".flatten()", ".distinct()", ".reverse()", ".sort()", ".split('')", ".join()"]),
        ).map("".join),
        st.tuples(below, below).map(lambda t: f"'%s %s'.format([{t[0]}, {t[1]}])"),
        below.map(lambda text: f"optional.of({text}).optMap(v, [v, v])"),
        st.tuples(below, below).map(lambda t: f"dyn({t[0]}) in [dyn({t[1]})]"),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_cost_bounds_time(source: str) -> None:
    """Whatever an expression is made of, 100,000 units take no longer than the deadline."""
    with contextlib.suppress(CelError):
        environment(VARIABLES).compile(source).evaluate(VALUES, 100_000)
