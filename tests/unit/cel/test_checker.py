"""Types: what an expression comes to, and what does not fit."""

import pytest

from pybernetes.cel import types
from pybernetes.cel.environment import environment

from .evaluate import VARIABLES, first_line, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[]", "list(dyn)"),
        ("[1, 2]", "list(int)"),
        ("{}", "map(dyn, dyn)"),
        ("{'a': [1]}", "map(string, list(int))"),
        ("[[], [1]]", "list(list(int))"),
        ("l.map(x, string(x))", "list(string)"),
        ("l.map(i, x, i) == []", None),
        ("m['a']", "int"),
        ("any.x.y", "dyn"),
        ("type(i)", "type(int)"),
        ("i > 1 ? 'a' : 'b'", "string"),
        ("optional.of(1)", "optional_type(int)"),
        ("any.?x", "optional_type(dyn)"),
        ("l[?0]", "optional_type(int)"),
        ("l[?0].orValue(1)", "int"),
        ("cidr('::/0').ip()", "net.IP"),
        ("quantity('1')", "kubernetes.Quantity"),
        ("timestamp('2020-01-01T00:00:00Z') - duration('1s')", "timestamp"),
        ("l.transformMap(i, v, string(v))", "map(int, string)"),
        ("l.filter(x, x > 1)", "list(int)"),
        ("[1, 2][0] + 1", "int"),
        ("format.dns1123Label().validate('a')", "optional_type(list(string))"),
        ("dyn(1)", "dyn"),
        ("l.first()", "optional_type(int)"),
        ("google.protobuf.Timestamp", "type(timestamp)"),
        ("null", "null"),
        ("b'a' + b'b'", "bytes"),
        ("1u + u", "uint"),
    ],
)
def test_types(source: str, expected: str | None) -> None:
    if expected is None:
        assert "ERROR" in first_line(source)
    else:
        assert str(environment(VARIABLES).check(source).type) == expected


@pytest.mark.parametrize(
    ("source", "place", "told"),
    [
        ("nothing", "1:1", "undeclared reference to 'nothing' (in container '')"),
        ("nothing()", "1:8", "undeclared reference to 'nothing' (in container '')"),
        ("s.nothing()", "1:10", "undeclared reference to 'nothing' (in container '')"),
        ("cel.bind(x, 1, x)", "1:1", "undeclared reference to 'cel' (in container '')"),
        ("math.greatest(1, 2)", "1:1", "undeclared reference to 'math' (in container '')"),
        ("1 + 'a'", "1:3", "found no matching overload for '_+_' applied to '(int, string)'"),
        ("1 + 1u", "1:3", "found no matching overload for '_+_' applied to '(int, uint)'"),
        ("i == s", "1:3", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("!i", "1:1", "found no matching overload for '!_' applied to '(int)'"),
        ("-s", "1:1", "found no matching overload for '-_' applied to '(string)'"),
        ("s.startsWith(1)", "1:13", "found no matching overload for 'startsWith' applied to 'string.(int)'"),
        ("size(1)", "1:5", "found no matching overload for 'size' applied to '(int)'"),
        ("'a' in l", "1:5", "found no matching overload for '@in' applied to '(string, list(int))'"),
        ("m[1]", "1:2", "found no matching overload for '_[_]' applied to '(map(string, int), int)'"),
        ("i.x", "1:2", "type 'int' does not support field selection"),
        ("i && b", "1:1", "expected type 'bool' but found 'int'"),
        ("l.all(x, x)", "1:10", "expected type 'bool' but found 'int'"),
        (
            "i.all(x, true)",
            "1:1",
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
        ),
        ("[1, 'a']", "1:5", "expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'c'}", "1:15", "expected type 'int' but found 'string'"),
        ("duration('1x') < duration('1s')", "1:10", "invalid duration argument"),
        ("timestamp('2020') > timestamp('2020-01-01T00:00:00Z')", "1:11", "invalid timestamp argument"),
        ("timestamp(-62135596801) == timestamp(0)", "1:11", "invalid timestamp argument"),
        ("s.matches('(')", "1:11", "invalid matches argument"),
        (
            "'%d'.format(['a'])",
            "1:14",
            "error during formatting: decimal clause can only be used on integers, was given string",
        ),
        (
            "'%s'.format([[i, optional.none()]])",
            "1:31",
            "error during formatting: string clause can only be used on strings, bools, bytes, ints,"
            " doubles, maps, lists, types, durations, and timestamps, was given optional_type",
        ),
        ("'%d %d'.format([1])", "1:15", "index 1 out of range"),
        ("'%d'.format([1, 2])", "1:12", "too many arguments supplied to string.format (expected 1, got 2)"),
        ("'%z'.format([1])", "1:12", 'could not parse formatting clause: unrecognized formatting clause "z"'),
        ("Nothing{a: 1}", "1:8", "undeclared reference to 'Nothing' (in container '')"),
        ("int{a: 1}", "1:4", "'int' is not a message type"),
    ],
)
def test_faults(source: str, place: str, told: str) -> None:
    assert first_line(source) == f"ERROR: <input>:{place}: {told}"


def test_several_faults_are_told_in_order() -> None:
    told = str(value("s.x == 1 || i == 'a' || nothing"))
    assert [line.split(": ", 2)[1].strip() for line in told.splitlines() if line.startswith("ERROR")] == [
        "<input>:1:2",
        "<input>:1:15",
        "<input>:1:25",
    ]


def test_lists_of_format_may_be_of_any_types() -> None:
    assert value("'%d %s'.format([1, 'a'])") == "1 a"


def test_objects_have_the_fields_of_their_type() -> None:
    point = types.object_type("Point", {"x": types.INT})
    scope = environment({"p": point}, {"Point": point})
    assert scope.check("p.x + 1").type == types.INT
    assert scope.compile("Point{x: 3}.x + 1").evaluate({}) == 4
    for source, told in (
        ("p.y", "undefined field 'y'"),
        ("has(p.y)", "undefined field 'y'"),
        ("p.?y", "undefined field 'y'"),
        ("Point{x: 'a'}", "expected type of field 'x' is 'int' but provided type is 'string'"),
    ):
        with pytest.raises(Exception, match="ERROR") as raised:
            scope.check(source)
        assert told in str(raised.value)


def test_types_cannot_grow_without_end() -> None:
    """Each binding of {a: a} doubles the type's text; a few dozen would be more than there is memory."""
    source = "optional.of(1)" + "".join(f".optMap(v{i}, {{v{i}: v{i}}})" for i in range(40))
    assert "too large" in first_line(source)
