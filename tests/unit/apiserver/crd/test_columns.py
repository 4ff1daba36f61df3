"""JSONPath, and the columns made of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.crd import columns, jsonpath

OBJECT: dict[str, Any] = {
    "metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"a.b/c": "x"}},
    "spec": {"n": 5, "f": 1.5, "b": True, "l": ["p", "q"], "o": {"k": 1}},
    "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True", "n": 2}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.n", [5]),
        (".spec.missing.x", []),
        (".metadata.annotations['a.b/c']", ["x"]),
        (r".metadata.annotations.a\.b/c", ["x"]),
        (".spec.l[1]", ["q"]),
        (".spec.l[-1]", ["q"]),
        (".spec.l[5]", []),
        (".spec.l[0:1]", ["p"]),
        (".spec.l[*]", ["p", "q"]),
        (".spec.o.*", [1]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.n>1)].type", ["Ready"]),
        (".status.conditions[?(@.n)].type", ["Ready"]),
        ("..k", [1]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert jsonpath.compiled(path)(OBJECT) == found


@pytest.mark.parametrize("path", [".a[", "a b", ".a[x]", ".."])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(jsonpath.JSONPathError):
        jsonpath.compiled(path)


@pytest.mark.parametrize(
    ("kind", "path", "cell"),
    [
        ("string", ".spec.l", '["p","q"]'),
        ("string", ".spec.b", "true"),
        ("string", ".spec.n", "5"),
        ("integer", ".spec.n", 5),
        ("integer", ".spec.l", None),
        ("number", ".spec.f", 1.5),
        ("boolean", ".spec.b", True),
        ("date", ".metadata.creationTimestamp", "24h"),
        ("date", ".metadata.name", "<invalid>"),
        ("string", ".spec.missing", None),
        ("string", ".a[", None),
    ],
)
def test_cells(kind: str, path: str, cell: Any) -> None:
    made = columns.row([{"name": "C", "type": kind, "jsonPath": path}])(OBJECT, datetime(2026, 1, 2, tzinfo=UTC))
    assert made == ["n", cell]


def test_without_columns_there_is_the_age() -> None:
    assert [c.name for c in columns.columns(())] == ["Name", "Age"]
    assert columns.row(())(OBJECT, datetime(2026, 1, 2, tzinfo=UTC)) == ["n", "24h"]
