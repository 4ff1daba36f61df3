"""Checks that several kinds share: names, numbers, addresses, paths (upstream: apimachinery/pkg/util/validation)."""

from __future__ import annotations

import re

_DNS1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """A failed pattern in upstream's words, its odd spacing included."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return (
        f"{message} (e.g. {shown}regex used for validation is '{pattern}')"
        if shown
        else f"{message} (regex used for validation is '{pattern}')"
    )


def dns1035_label_errors(value: str) -> list[str]:
    """Why a value is not a DNS-1035 label."""
    errors = ["must be no more than 63 characters"] if len(value.encode()) > 63 else []
    if not _DNS1035.fullmatch(value):
        errors.append(
            regex_error(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
                "start with an alphabetic character, and end with an alphanumeric character",
                _DNS1035.pattern,
                "my-name",
                "abc-123",
            )
        )
    return errors
