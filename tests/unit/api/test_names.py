"""Names, and keys and values of labels."""

from __future__ import annotations

import pytest

from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors, label_key_errors, label_value_errors

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
