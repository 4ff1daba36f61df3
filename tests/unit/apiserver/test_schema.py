"""Bodies are decoded strictly; what is refused is explained as upstream does."""

import time

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.kinds.core.limitrange import RESOURCE as LIMIT_RANGE
from pybernetes.apiserver.kinds.core.pod import RESOURCE as POD
from pybernetes.apiserver.schema import compiled, duplicates

PREFIX = 'Pod in version "v1" cannot be handled as a Pod: '
FORM = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"spec":{"containers":[{"name":1}]}}',
            "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
        ),
        (
            b'{"spec":{"hostNetwork":"x"}}',
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            b'{"spec":{"priority":3000000000}}',
            "json: cannot unmarshal number into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            b'{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}',
            f"quantities must match the regular expression {FORM}",
        ),
        (
            b'{"metadata":{"deletionTimestamp":"soon"}}',
            'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
        ),
    ],
)
def test_wrong_types(body: bytes, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        compiled(POD).decode(body)
    assert (refused.value.code, str(refused.value)) == (400, PREFIX + message)


def test_unknown_fields() -> None:
    body = b'{"spec":{"foo":1,"containers":[{"name":"c","bar":2}]}}'
    plain, warnings = compiled(POD).decode(body, "Warn")
    assert warnings == ['unknown field "spec.foo"', 'unknown field "spec.containers[0].bar"']
    assert plain["spec"] == {"containers": [{"name": "c", "resources": {}}]}
    assert compiled(POD).decode(body, "Ignore") == (plain, [])
    with pytest.raises(
        StatusError, match=r'strict decoding error: unknown field "spec.foo", unknown field "spec.containers\[0\].bar"'
    ):
        compiled(POD).decode(body, "Strict")


def test_values_are_canonical_and_zero_values_as_go_writes_them() -> None:
    body = b'{"metadata":{"labels":null,"creationTimestamp":"2026-01-02T03:04:05.6+01:00"},"spec":{"hostNetwork":false,"containers":[]}}'
    plain, _ = compiled(POD).decode(body)
    assert plain == {
        "metadata": {"creationTimestamp": "2026-01-02T02:04:05Z"},
        "spec": {"containers": None},
        "status": {},
    }


@pytest.mark.parametrize("body", [b'{"spec":{}}', b'{"spec":{"limits":[]}}', b'{"spec":{"limits":null}}'])
def test_an_empty_required_list_is_null(body: bytes) -> None:
    assert compiled(LIMIT_RANGE).decode(body)[0]["spec"] == {"limits": None}


def test_null_is_an_empty_object() -> None:
    assert compiled(POD).decode(b"null") == compiled(POD).decode(b"{}")


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":\xff}', b"[]", b'"x"', b'{"spec":{"nodeName":"x"'])
def test_no_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        compiled(POD).decode(body)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a":1,"b":{"a":2}}', []),
        (b'{"a":1,"a":2}', ['duplicate field "a"']),
        (b'{"x":[{"a":1},{"b":1,"b":2,"b":3}],"x":[]}', ['duplicate field "x"']),
        (b'{"x":[{"a":1},{"b":{"c":1,"c":2}}]}', ['duplicate field "x[1].b.c"']),
        (b'{"a" : 1, "a" : 2, "b": 3}', ['duplicate field "a"']),
        (b'{"a":"\\":","b":"\\u0022:"}', []),
    ],
)
def test_duplicates(body: bytes, found: list[str]) -> None:
    assert duplicates(body) == found


def test_duplicates_are_found_in_linear_time() -> None:
    """The fault: each name was looked for among all before it, so that a body of a megabyte took seconds. Many names of which
    one is there twice, one name many times, and many objects of which each has one twice."""
    many = ",".join(f'"k{n}":1' for n in range(200_000))
    for text, count in (
        (f'{{{many},"k0":2}}', 1),
        ("{" + ",".join(['"a":1'] * 200_000) + "}", 1),
        ("[" + ",".join(['{"a":1,"a":2}'] * 50_000) + "]", 50_000),
    ):
        body = text.encode()
        start = time.process_time()
        assert len(duplicates(body)) == count
        assert time.process_time() - start < 5.0  # it was minutes


def test_duplicate_fields_are_refused_or_warned_of() -> None:
    body = b'{"spec":{"nodeName":"a","nodeName":"b","x":1,"containers":[]}}'
    problems = ['duplicate field "spec.nodeName"', 'unknown field "spec.x"']
    obj, warnings = compiled(POD).decode(body, "Warn")
    assert (obj["spec"]["nodeName"], warnings) == ("b", problems)
    with pytest.raises(StatusError, match="strict decoding error: " + ", ".join(problems)):
        compiled(POD).decode(body, "Strict")
    assert compiled(POD).decode(body, "Ignore")[1] == []
