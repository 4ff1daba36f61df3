"""Documents that are small and would grow, and those that only look so."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import yaml

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.endpoints import negotiate, yamlreader
from pybernetes.apiserver.kinds.core.configmap import RESOURCE as CONFIG_MAP
from pybernetes.apiserver.schema import compiled
from pybernetes.wire.http import Request

LAUGHS = "a: &a [lol, lol]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &x [1, two]\nb: *x", {"a": [1, "two"], "b": [1, "two"]}),
        ("base: &b {x: 1}\nmore: {<<: *b, y: 2}", {"base": {"x": 1}, "more": {"x": 1, "y": 2}}),
        ("at: 2020-01-02T03:04:05Z", {"at": "2020-01-02T03:04:05Z"}),
        ("", None),
    ],
)
def test_documents(text: str, found: object) -> None:
    assert yamlreader.read(text.encode()) == found


@pytest.mark.parametrize(
    "text",
    [LAUGHS, f"a: &a {'x' * 100_000}\nb: [{'*a, ' * 1000}]", f"a: &a {{x: 1}}\nb: {{<<: [{'*a, ' * 1000}]}}"],
)
def test_what_would_fill_the_memory_is_refused(text: str) -> None:
    with pytest.raises(yamlreader.Excessive, match="excessive aliasing"):
        yamlreader.read(text.encode())


def test_many_values_without_aliases_are_read() -> None:
    assert len(yamlreader.read(f"a: [{'1,' * 20_000}]".encode())["a"]) == 20_000
    assert len(yamlreader.read("".join(f"k{n}: v\n" for n in range(20_000)).encode())) == 20_000


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 50_000, "- " * 50_000, "a: &m {x: *m}"])
def test_loops_and_depth_are_refused(text: str) -> None:
    with pytest.raises((yaml.YAMLError, RecursionError, ValueError)):
        yamlreader.read(text.encode())


def test_refusals_are_told_as_upstream_does() -> None:
    with pytest.raises(ValueError, match="error converting YAML to JSON: yaml: document contains excessive aliasing"):
        negotiate.yaml_document(LAUGHS.encode())
    for text, words in (
        (b"a: [1", "yaml: line 1: did not find expected ',' or ']'"),
        (b"a: 1\nb: c: d", "yaml: line 2: mapping values are not allowed in this context"),
        (b"a: b: c", "yaml: mapping values are not allowed in this context"),
    ):
        with pytest.raises(ValueError) as refused:
            negotiate.yaml_document(text)
        assert str(refused.value).endswith(f"error converting YAML to JSON: {words}")


def test_numbers_are_told_and_written_as_go_does() -> None:
    """The kind: YAML's numbers go through JSON, where a whole float has no point; go-yaml knows no numbers of base sixty."""
    text = b"[2.0, 3e6, 3E+06, -0.0, .5, 1_000, 0x1F, 010, 1:30, 1.5e3x, 2026-01-01, 1e21, 99999999999999999999, '2.0']"
    expected = [2, 3000000, 3000000, 0, 0.5, 1000, 31, 8, "1:30", "1.5e3x", "2026-01-01", 1e21, 1e20, "2.0"]
    values = negotiate.yaml_document(text)
    assert values == expected
    assert [type(value) for value in values][:4] == [int] * 4
    assert negotiate.yaml_document(b'{"a":2.0}') == {"a": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e400", "1e400"),  # no float64 holds it
        ("0b" + "1" * 2000, "0b" + "1" * 2000),
        ("-0x1" + "0" * 16, "-0x1" + "0" * 16),
        ("1" * 5000, "1" * 5000),
        ("1" * 25, 1.1111111111111111e24),
        ("0b" + "1" * 64, 2**64 - 1),
        ("0o17", 15),
        ("0X1f", 31),
        ("-0b101", -5),
        ("08", 8),
        ("1_0.5", 10.5),
        ("0x", "0x"),
        ("!!float 3", 3),
        ("!!int '7'", 7),
        ("!!binary YWI=", "ab"),
        ("!!python/object:os.system b", "b"),
        ("=", "="),
        ("!Ref {a: [1]}", {"a": [1]}),
        ("!!set {a, b}", {"a": None, "b": None}),
        ("!!timestamp 2001-01-01", "2001-01-01"),
    ],
)
def test_scalars_are_what_go_takes_them_for(text: str, expected: object) -> None:
    """The kind: numbers beyond 64 bits or a float are text, unknown tags say nothing; Python's own reader raises for both."""
    assert negotiate.yaml_document(f"a: {text}".encode()) == {"a": expected}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metadata: &a\n  labels: *a\n", "yaml: anchor 'a' value contains itself"),
        ("- &l [1, [*l]]", "yaml: anchor 'l' value contains itself"),
        ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
        ("a: !!binary '*'", "yaml: !!binary value contains invalid base64 data"),
        (
            "".join(f"%TAG !e{n}! tag:x,{n}:\n" for n in range(20_000)) + "---\na: b",
            "yaml: document contains excessive aliasing",
        ),
    ],
)
def test_refusals_of_what_cannot_be_json(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        negotiate.yaml_document(text.encode())
    assert str(refused.value) == f"error converting YAML to JSON: {words}"


@pytest.mark.parametrize("more", ["---\na: 2\n", "...\n", "---\n[", "--- !x\n%"])
def test_only_the_first_document_is_read(more: str) -> None:
    assert negotiate.yaml_document(f"a: 1\n{more}".encode()) == {"a": 1}
    assert yamlreader.duplicates(f"a: 1\n{more}".encode()) == []


@pytest.mark.parametrize(("text", "word"), [(".nan", "NaN"), (".inf", "+Inf"), ("-.INF", "-Inf")])
def test_what_json_has_no_number_for(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"json: unsupported value: {re.escape(word)}"):
        negotiate.yaml_document(f"a: {text}".encode())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2", []),
        ("a: 1\na: 2", ['line 2: key "a" already set in map']),
        (
            "m:\n  x: 1\n  x:\n    y: 1\nm: 2",
            ['line 4: key "x" already set in map', 'line 5: key "m" already set in map'],
        ),
        ("l: [{a: 1, a: 2}, {a: 1}]", ['line 1: key "a" already set in map']),
        ("a: &m {x: 1}\nb: {<<: *m, x: 2}\nc: {<<: *m, <<: *m}", []),
        ('"1": a\n1: b', []),  # a text and a number are two keys
    ],
)
def test_keys_that_are_there_twice(text: str, found: list[str]) -> None:
    assert yamlreader.duplicates(text.encode()) == found


def test_keys_twice_are_warned_of_or_refused() -> None:
    """In the words of go-yaml's strict reader, before what the schema finds."""
    body = b"metadata:\n  name: a\nx: 1\ndata:\n  k: a\n  k: b\n"
    request = Request("POST", b"/", b"", (("content-type", "application/yaml"),), body)
    schema = compiled(CONFIG_MAP)
    obj, warnings = negotiate.decoded(request, "ConfigMap", schema, "Warn")
    assert (obj["data"], warnings) == ({"k": "b"}, ['line 6: key "k" already set in map', 'unknown field "x"'])
    assert negotiate.decoded(request, "ConfigMap", schema, "Ignore") == (obj, [])
    with pytest.raises(StatusError) as refused:
        negotiate.decoded(request, "ConfigMap", schema, "Strict")
    strict = 'strict decoding error: yaml: unmarshal errors:\n  line 6: key "k" already set in map, unknown field "x"'
    assert str(refused.value) == f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {strict}'
